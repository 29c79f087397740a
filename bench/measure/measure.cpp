// Runs a program and says in JSON what it and its children cost:
//
//   bench_measure REPORT [--until LIST] -- PROGRAM [ARGUMENT…]
//
// A small program of its own, because the peak memory of a process starts with that of the one it was forked from:
// started by a script, every program would seem to need what the script's interpreter does. With --until, it is for a
// program that does not end: it is killed as soon as all files that LIST names, one a line, are there.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

double now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

[[noreturn]] void fail(const char* doing) {
  std::fprintf(stderr, "bench_measure: %s: %s\n", doing, std::strerror(errno));
  std::exit(125);
}

/// The files that are waited for. Empty files are still being written.
class Awaited {
 public:
  explicit Awaited(const char* list) {
    std::ifstream in(list);
    for (std::string line; std::getline(in, line);)
      if (!line.empty()) paths_.push_back(line);
    if (paths_.empty()) fail(list);
  }
  bool all_there() {
    struct stat status {};
    while (next_ < paths_.size() && stat(paths_[next_].c_str(), &status) == 0 && status.st_size > 0) ++next_;
    return next_ == paths_.size();
  }

 private:
  std::vector<std::string> paths_;
  std::size_t next_ = 0;
};

/// When all files are there, or the program ended without them.
double kill_when_done(pid_t child, Awaited awaited) {
  for (;;) {
    const bool done = awaited.all_there();
    const double at = now();
    siginfo_t ended{};
    // WNOWAIT: whoever asks what it cost waits for it again.
    waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == child) return at;
    if (done) {
      kill(child, SIGKILL);
      return at;
    }
    usleep(500);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* list = nullptr;
  int first = 2;
  if (argc > 4 && std::strcmp(argv[2], "--until") == 0) {
    list = argv[3];
    first = 4;
  }
  if (argc < first + 2 || std::strcmp(argv[first], "--") != 0) {
    std::fputs("usage: bench_measure REPORT [--until LIST] -- PROGRAM [ARGUMENT…]\n", stderr);
    return 125;
  }
  // What the program leaves behind becomes a child of this process, and is waited for and counted.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) fail("becoming a subreaper");

  const double start = now();
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    execvp(argv[first + 1], argv + first + 1);
    std::fprintf(stderr, "bench_measure: %s: %s\n", argv[first + 1], std::strerror(errno));
    _exit(127);
  }
  double end = 0;
  bool in_time = false;
  if (list) {
    end = kill_when_done(child, Awaited(list));
    in_time = Awaited(list).all_there();
  }

  rusage cost{};
  int status = 0;
  double cpu = 0;
  long peak = 0;
  int exit_code = 0;
  for (pid_t ended; (ended = wait4(-1, &status, 0, &cost)) > 0 || errno == EINTR;) {
    if (ended < 0) continue;
    if (ended == child) {
      if (!list) end = now();
      exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      if (list) exit_code = in_time ? 0 : 1;
    }
    cpu += seconds(cost.ru_utime) + seconds(cost.ru_stime);
    if (cost.ru_maxrss > peak) peak = cost.ru_maxrss;
  }

  std::FILE* report = std::fopen(argv[1], "w");
  if (!report) fail(argv[1]);
  std::fprintf(report, "{\"wall\":%.6f,\"cpu\":%.6f,\"memory_kib\":%ld,\"exit_code\":%d}\n", end - start, cpu, peak,
               exit_code);
  if (std::fclose(report) != 0) fail(argv[1]);
  return exit_code;
}
