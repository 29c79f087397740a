// Runs a program with all its threads, looks at its system calls, and kills it at one of them.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace culmen::test {

inline bool changes_names(long call) {
  switch (call) {
#ifdef SYS_rename
    case SYS_rename:
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_mkdir:
    case SYS_link:
    case SYS_symlink:
#endif
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_linkat:
    case SYS_symlinkat:
    case SYS_mkdirat: return true;
    default: return false;
  }
}

enum class KillOutcome { killed, ended_well, ended_badly, untraceable };

/// `is_end` is asked when a thread enters a system call: whether the program is to be killed there.
inline KillOutcome run_watched(std::vector<std::string> words,
                               const std::function<bool(pid_t thread, const __ptrace_syscall_info&)>& is_end) {
  constexpr int exit_untraceable = 77;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t process = ::fork();
  REQUIRE(process >= 0);
  if (process == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    for (const int file : {0, 1, 2}) ::dup2(null, file);
    if (::ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) ::_exit(exit_untraceable);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  REQUIRE(::waitpid(process, &status, 0) == process);
  if (WIFEXITED(status)) return KillOutcome::untraceable;
  ::ptrace(PTRACE_SETOPTIONS, process, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE);
  ::ptrace(PTRACE_SYSCALL, process, 0, 0);
  bool is_killed = false;
  for (;;) {
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0) return KillOutcome::ended_badly;
    if (thread == process && WIFEXITED(status))
      return WEXITSTATUS(status) == 0 ? KillOutcome::ended_well : KillOutcome::ended_badly;
    if (thread == process && WIFSIGNALED(status)) return is_killed ? KillOutcome::killed : KillOutcome::ended_badly;
    if (!WIFSTOPPED(status) || is_killed) continue;
    const int stop = WSTOPSIG(status);
    const bool is_call = stop == (SIGTRAP | 0x80);
    if (is_call) {
      __ptrace_syscall_info info{};
      ::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info);
      const bool enters = info.op == PTRACE_SYSCALL_INFO_ENTRY;
      if (enters && is_end(thread, info)) {
        is_killed = true;
        ::kill(process, SIGKILL);
        continue;
      }
    }
    const bool is_own = is_call || stop == SIGTRAP || stop == SIGSTOP;
    ::ptrace(PTRACE_SYSCALL, thread, 0, is_own ? 0 : stop);
  }
}

/// Kills it when it enters the `nth` of the calls that change names of files, counted from 1.
inline KillOutcome run_killed_at(std::vector<std::string> words, int nth) {
  int calls = 0;
  return run_watched(std::move(words), [&](pid_t, const __ptrace_syscall_info& info) {
    return changes_names(static_cast<long>(info.entry.nr)) && ++calls == nth;
  });
}

}  // namespace culmen::test
