// Runs a program that is killed at one of its system calls.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace culmen::test {

/// A program that has come to the point where it would begin: it stops itself there.
class TracedProgram {
 public:
  enum class How { traced, untraced };

  TracedProgram(std::vector<std::string> words, How how) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const rlimit cores{0, 0};
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setrlimit(RLIMIT_CORE, &cores);
      if (how == How::traced && ::ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) ::_exit(exit_untraceable);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    if (how == How::untraced) {
      wait(WUNTRACED);
      REQUIRE(WIFSTOPPED(status_));
      return;
    }
    wait();
    if (WIFEXITED(status_)) return;
    ::ptrace(PTRACE_SETOPTIONS, process_, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    while (WIFSTOPPED(status_) && WSTOPSIG(status_) != SIGSTOP) {
      ::ptrace(PTRACE_CONT, process_, 0, 0);
      wait();
    }
    REQUIRE(WIFSTOPPED(status_));
  }
  TracedProgram(const TracedProgram&) = delete;
  TracedProgram& operator=(const TracedProgram&) = delete;
  ~TracedProgram() { kill(); }

  /// From now on no file may grow beyond `size`; the writer is killed by the write that would.
  void limit_files(rlim_t size) {
    const rlimit sizes{size, size};
    REQUIRE(::prlimit(process_, RLIMIT_FSIZE, &sizes, nullptr) == 0);
  }
  bool may_be_traced() const { return !(WIFEXITED(status_) && WEXITSTATUS(status_) == exit_untraceable); }

  /// Lets a traced writer go on until it enters or leaves the next system call. False once it has ended.
  bool step() {
    int signal = 0;
    do {
      ::ptrace(PTRACE_SYSCALL, process_, 0, signal);
      wait();
      if (!WIFSTOPPED(status_)) return false;
      const int stop = WSTOPSIG(status_);
      signal = stop == SIGSTOP || stop == (SIGTRAP | 0x80) ? 0 : stop;
    } while (WSTOPSIG(status_) != (SIGTRAP | 0x80));
    return true;
  }
  /// The same, until it enters or leaves one that makes a file last or puts it in its place.
  bool step_to_change() {
    while (step()) {
      __ptrace_syscall_info info{};
      ::ptrace(PTRACE_GET_SYSCALL_INFO, process_, sizeof info, &info);
      if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        const auto call = static_cast<long>(info.entry.nr);
        changes_ = call == SYS_fsync || call == SYS_renameat || call == SYS_renameat2;
#ifdef SYS_rename
        changes_ = changes_ || call == SYS_rename;
#endif
      }
      if (changes_) return true;
    }
    return false;
  }
  void go() { send(SIGCONT); }
  void send(int signal_number) const { ::kill(process_, signal_number); }
  pid_t process() const noexcept { return process_; }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    while (process_ > 0) wait();
  }
  /// Waits until it ends by itself.
  void end() {
    while (process_ > 0) wait();
  }
  bool ended_well() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == 0; }
  bool was_killed_by(int signal) const { return WIFSIGNALED(status_) && WTERMSIG(status_) == signal; }

 private:
  static constexpr int exit_untraceable = 77;
  void wait(int flags = 0) {
    while (::waitpid(process_, &status_, flags) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status_) || WIFSIGNALED(status_)) process_ = -1;
  }
  pid_t process_ = -1;
  int status_ = 0;
  bool changes_ = false;
};

}  // namespace culmen::test
