#include "victim.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
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

/// Which argument of a call is a path, and which the descriptor of the folder that it is relative to; -1: none.
struct PathArguments {
  int path = -1, folder = -1;
  int flags = -1;  // of open
};

/// The calls that a failing storage lets fail.
const std::map<long, PathArguments>& storage_calls() {
  static const std::map<long, PathArguments> calls = {
      {SYS_openat, {1, 0, 2}},  {SYS_mkdirat, {1, 0}},    {SYS_symlinkat, {2, 1}},   {SYS_linkat, {3, 2}},
      {SYS_renameat, {3, 2}},   {SYS_renameat2, {3, 2}},  {SYS_unlinkat, {1, 0}},    {SYS_newfstatat, {1, 0}},
      {SYS_fchmodat, {1, 0}},   {SYS_readlinkat, {1, 0}}, {SYS_write, {-1, 0}},      {SYS_pwrite64, {-1, 0}},
      {SYS_ftruncate, {-1, 0}}, {SYS_fsync, {-1, 0}},     {SYS_fdatasync, {-1, 0}},  {SYS_fchmod, {-1, 0}},
      {SYS_read, {-1, 0}},      {SYS_pread64, {-1, 0}},   {SYS_getdents64, {-1, 0}},
#ifdef SYS_rename
      {SYS_open, {0, -1, 1}},   {SYS_rename, {1, -1}},    {SYS_unlink, {0, -1}},     {SYS_link, {1, -1}},
      {SYS_mkdir, {0, -1}},     {SYS_rmdir, {0, -1}},     {SYS_symlink, {1, -1}},    {SYS_stat, {0, -1}},
      {SYS_lstat, {0, -1}},     {SYS_readlink, {0, -1}},  {SYS_chmod, {0, -1}},
#endif
  };
  return calls;
}

std::string link_target(const std::string& link) {
  char target[PATH_MAX];
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string();
}

std::string text_at(pid_t process, std::uint64_t address) {
  // By pages: the text may end right before one that is not there.
  std::string text;
  for (constexpr std::size_t page = 4096; text.size() < PATH_MAX;) {
    char buffer[page];
    const std::size_t size = page - address % page;
    const iovec here{buffer, size}, there{reinterpret_cast<void*>(address), size};  // NOLINT(performance-no-int-to-ptr)
    const ssize_t got = ::process_vm_readv(process, &here, 1, &there, 1, 0);
    if (got <= 0) break;
    const std::string_view read(buffer, static_cast<std::size_t>(got));
    text += read.substr(0, read.find('\0'));
    if (read.find('\0') != read.npos) break;
    address += size;
  }
  return text;
}

/// The file that a call is about; "" if it is about none.
std::string target_of(pid_t process, const __ptrace_syscall_info& info) {
  const auto found = storage_calls().find(static_cast<long>(info.entry.nr));
  if (found == storage_calls().end()) return "";
  const PathArguments& where = found->second;
  const std::string path = where.path < 0 ? "" : text_at(process, info.entry.args[where.path]);
  if (path.starts_with("/")) return path;
  const std::string of_process = "/proc/" + std::to_string(process);
  const int descriptor = where.folder < 0 ? AT_FDCWD : static_cast<int>(info.entry.args[where.folder]);
  const std::string folder =
      link_target(of_process + (descriptor == AT_FDCWD ? "/cwd" : "/fd/" + std::to_string(descriptor)));
  return path.empty() ? folder : folder + "/" + path;
}

bool is_hit(const StorageFault& fault, pid_t process, const __ptrace_syscall_info& info) {
  const auto found = storage_calls().find(static_cast<long>(info.entry.nr));
  if (found == storage_calls().end()) return false;
  static const std::set<long> reading = {SYS_read,       SYS_pread64,   SYS_getdents64,
#ifdef SYS_stat
                                         SYS_stat,       SYS_lstat,     SYS_readlink,
#endif
                                         SYS_newfstatat, SYS_readlinkat};
  static const std::set<long> on_full = {SYS_write,    SYS_pwrite64, SYS_mkdirat,   SYS_symlinkat, SYS_linkat,
                                         SYS_renameat, SYS_fsync,    SYS_fdatasync, SYS_renameat2,
#ifdef SYS_rename
                                         SYS_rename,   SYS_link,     SYS_mkdir,     SYS_symlink
#endif
  };
  const bool opens = found->second.flags >= 0;
  const std::uint64_t flags = opens ? info.entry.args[found->second.flags] : 0;
  bool counts = true;
  switch (fault.kind) {
    case StorageFault::Kind::full: counts = on_full.contains(found->first) || (flags & O_CREAT) != 0; break;
    case StorageFault::Kind::read_only:
      counts = opens ? (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0 : !reading.contains(found->first);
      break;
    case StorageFault::Kind::lost: break;
  }
  if (!counts) return false;
  const std::string target = target_of(process, info);
  return target == fault.folder || target.starts_with(fault.folder.string() + "/");
}

/// Lets the call that it enters fail.
void refuse([[maybe_unused]] pid_t thread, [[maybe_unused]] int error) {
#if defined(__x86_64__)
  user_regs_struct registers{};
  ::ptrace(PTRACE_GETREGS, thread, 0, &registers);
  registers.orig_rax = static_cast<unsigned long long>(-1);
  registers.rax = static_cast<unsigned long long>(-error);
  if (::ptrace(PTRACE_SETREGS, thread, 0, &registers) != 0) fail("letting a system call fail");
#else
  throw Untraceable("on this architecture the test lets no system call fail");
#endif
}

__ptrace_syscall_info info_of(pid_t thread) {
  __ptrace_syscall_info info{};
  ::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info);
  return info;
}

}  // namespace

int StorageFault::error() const noexcept {
  switch (kind) {
    case Kind::full: return ENOSPC;
    case Kind::read_only: return EROFS;
    case Kind::lost: return EIO;
  }
  return EIO;
}

Victim::Victim(std::vector<std::string> words, How how, Errors errors) : is_traced_(how == How::traced) {
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
    if (errors == Errors::read) ::dup2(out[1], STDERR_FILENO);
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

/// Lets it run until a thread enters or leaves a system call. Returns that thread; 0 once it has ended.
int Victim::next_call(milliseconds limit) {
  const Clock::time_point end = Clock::now() + limit;
  if (stopped_thread_ != 0) resume(stopped_thread_, 0);
  stopped_thread_ = 0;
  for (int tries = 0; process_ > 0; ++tries) {
    int status = 0;
    const pid_t thread = ::waitpid(-1, &status, __WALL | WNOHANG);
    if (thread == 0 && tries < 50) {
      std::this_thread::yield();
      continue;
    }
    if (thread == 0) {
      if (Clock::now() > end) throw std::runtime_error("the traced program does nothing any more");
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      continue;
    }
    if (thread < 0) {
      if (errno == EINTR) continue;
      process_ = -1;
      return 0;
    }
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread != process_) continue;
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      process_ = -1;
      return 0;
    }
    const int stop = WSTOPSIG(status);
    if (stop == (SIGTRAP | 0x80)) {
      stopped_thread_ = thread;
      return thread;
    }
    const bool is_own = stop == SIGTRAP || stop == SIGSTOP;  // of ptrace: exec, clone, and a new thread
    resume(thread, is_own ? 0 : stop);
  }
  return 0;
}

bool Victim::step(milliseconds limit) {
  while (const int thread = next_call(limit)) {
    const __ptrace_syscall_info info = info_of(thread);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      const auto call = changing_calls().find(static_cast<long>(info.entry.nr));
      const bool counts =
          call != changing_calls().end() && (call->first != SYS_write || is_to_a_file(process_, info.entry.args[0]));
      // After these it is as before the next one: nobody has seen anything yet.
      static const std::set<long> quiet = {SYS_write, SYS_pwrite64, SYS_fsync, SYS_fdatasync, SYS_ftruncate};
      pending_[thread] = counts && !quiet.contains(call->first) ? call->second : std::string();
      if (counts) {
        stopped_at_ = "before " + call->second;
        return true;
      }
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      const std::string call = std::exchange(pending_[thread], "");
      if (!call.empty()) {
        stopped_at_ = "after " + call;
        return true;
      }
    }
  }
  return false;
}

int Victim::run_on(const StorageFault& fault, milliseconds limit) {
  int calls = 0, failed = 0;
  while (const int thread = next_call(limit)) {
    lines();
    const __ptrace_syscall_info info = info_of(thread);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !is_hit(fault, process_, info)) continue;
    ++calls;
    if (calls < fault.first || (calls > fault.first && !fault.lasts)) continue;
    refuse(thread, fault.error());
    if (failed++ == 0) stopped_at_ = target_of(process_, info);
  }
  return failed;
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
