#include "victim.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace chaos {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int exit_untraceable = 77;

/// The calls that change a file or send something. On architectures with few system calls some of them are missing.
const std::map<long, std::string>& changing_calls() {
  static const std::map<long, std::string> calls = {
      {SYS_write, "write"},         {SYS_pwrite64, "pwrite"},     {SYS_fsync, "fsync"},
      {SYS_fdatasync, "fdatasync"}, {SYS_renameat, "renameat"},   {SYS_renameat2, "renameat2"},
      {SYS_unlinkat, "unlinkat"},   {SYS_linkat, "linkat"},       {SYS_mkdirat, "mkdirat"},
      {SYS_symlinkat, "symlinkat"}, {SYS_ftruncate, "ftruncate"}, {SYS_sendto, "sendto"},
      {SYS_sendmsg, "sendmsg"},
#ifdef SYS_rename
      {SYS_rename, "rename"},       {SYS_unlink, "unlink"},       {SYS_link, "link"},
      {SYS_mkdir, "mkdir"},         {SYS_rmdir, "rmdir"},         {SYS_symlink, "symlink"},
#endif
  };
  return calls;
}

/// Threads wake each other by writing into pipes: nothing changes there.
bool is_to_a_file(pid_t process, std::uint64_t descriptor) {
  const std::string link = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(descriptor);
  char target[16];
  return ::readlink(link.c_str(), target, sizeof target) > 0 && target[0] == '/';
}

[[noreturn]] void fail(const std::string& doing) { throw std::system_error(errno, std::generic_category(), doing); }

}  // namespace

Victim::Victim(std::vector<std::string> words, How how) : is_traced_(how == How::traced) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) fail("making pipes");
  const rlimit cores{0, 0};
  process_ = ::fork();
  if (process_ < 0) fail("forking");
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setrlimit(RLIMIT_CORE, &cores);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    if (is_traced_ && ::ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) ::_exit(exit_untraceable);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (!is_traced_) return;
  int status = 0;
  if (::waitpid(process_, &status, 0) != process_ || !WIFSTOPPED(status)) {
    process_ = -1;
    throw Untraceable("this system does not let programs trace others: no kills at system calls");
  }
  ::ptrace(PTRACE_SETOPTIONS, process_, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE);
  stopped_thread_ = process_;
}

Victim::~Victim() {
  kill();
  ::close(input_);
  ::close(output_);
}

bool Victim::read_some(milliseconds limit) {
  pollfd ready{output_, POLLIN, 0};
  if (::poll(&ready, 1, static_cast<int>(limit.count())) <= 0) return false;
  char buffer[8192];
  const ssize_t size = ::read(output_, buffer, sizeof buffer);
  if (size <= 0) return false;
  text_.append(buffer, static_cast<std::size_t>(size));
  return true;
}

std::vector<std::string> Victim::lines() {
  while (read_some(milliseconds(0))) {
  }
  std::vector<std::string> all;
  for (std::size_t begin = 0, end; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1)
    all.push_back(text_.substr(begin, end - begin));
  return all;
}

bool Victim::wait_for_line(const std::string& line, milliseconds limit) {
  const Clock::time_point end = Clock::now() + limit;
  for (;;) {
    const std::vector<std::string> all = lines();
    if (std::find(all.begin(), all.end(), line) != all.end()) return true;
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    if (left <= milliseconds(0) || !read_some(left)) return false;
  }
}

void Victim::write_line(const std::string& line) const {
  const std::string whole = line + "\n";
  (void)!::write(input_, whole.data(), whole.size());
}

bool Victim::resume(int thread, int signal) const { return ::ptrace(PTRACE_SYSCALL, thread, 0, signal) == 0; }

bool Victim::step(milliseconds limit) {
  const Clock::time_point end = Clock::now() + limit;
  if (stopped_thread_ != 0) resume(stopped_thread_, 0);
  stopped_thread_ = 0;
  while (process_ > 0) {
    int status = 0;
    const pid_t thread = ::waitpid(-1, &status, __WALL | WNOHANG);
    if (thread == 0) {
      if (Clock::now() > end) throw std::runtime_error("the traced program does nothing any more");
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      continue;
    }
    if (thread < 0) {
      if (errno == EINTR) continue;
      process_ = -1;
      return false;
    }
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread != process_) continue;
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      process_ = -1;
      return false;
    }
    const int stop = WSTOPSIG(status);
    if (stop != (SIGTRAP | 0x80)) {
      const bool is_own = stop == SIGTRAP || stop == SIGSTOP;  // of ptrace: exec, clone, and a new thread
      resume(thread, is_own ? 0 : stop);
      continue;
    }
    __ptrace_syscall_info info{};
    ::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      const auto call = changing_calls().find(static_cast<long>(info.entry.nr));
      const bool counts =
          call != changing_calls().end() && (call->first != SYS_write || is_to_a_file(process_, info.entry.args[0]));
      // After these it is as before the next one: nobody has seen anything yet.
      static const std::set<long> quiet = {SYS_write, SYS_pwrite64, SYS_fsync, SYS_fdatasync, SYS_ftruncate};
      pending_[thread] = counts && !quiet.contains(call->first) ? call->second : std::string();
      if (counts) {
        stopped_at_ = "before " + call->second;
        stopped_thread_ = thread;
        return true;
      }
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      const std::string call = std::exchange(pending_[thread], "");
      if (!call.empty()) {
        stopped_at_ = "after " + call;
        stopped_thread_ = thread;
        return true;
      }
    }
    resume(thread, 0);
  }
  return false;
}

bool Victim::reap(bool wait) {
  int status = 0;
  for (;;) {
    const pid_t found =
        ::waitpid(is_traced_ ? -1 : process_, &status, (is_traced_ ? __WALL : 0) | (wait ? 0 : WNOHANG));
    if (found == 0) return false;
    if (found < 0 && errno == EINTR) continue;
    if (found < 0) break;
    if (found != process_ || WIFSTOPPED(status)) continue;  // another thread of it, or one that dies
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    break;
  }
  process_ = -1;
  return true;
}

void Victim::kill() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  reap(true);
}

bool Victim::end(milliseconds limit) {
  const Clock::time_point end = Clock::now() + limit;
  while (process_ > 0 && !reap(false)) {
    lines();
    if (Clock::now() > end) {
      kill();
      return false;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

}  // namespace chaos
