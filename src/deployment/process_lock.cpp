#include "process_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"

namespace culmen::cli {

namespace {

Error lock_error(const std::filesystem::path& file) {
  const std::error_code code(errno, std::generic_category());
  return Error(Errc::io_failed, "locking " + file.string(), code.message()).with_system_code(code);
}

}  // namespace

std::optional<ProcessLock> ProcessLock::take(const std::filesystem::path& file) {
  const int number = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (number < 0) throw lock_error(file);
  ProcessLock lock(number);
  while (flock(number, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::nullopt;
    if (errno != EINTR) throw lock_error(file);
  }
  // For messages; of no importance if it fails, as on a full disk.
  const std::string process = std::to_string(getpid()) + "\n";
  static_cast<void>(pwrite(number, process.data(), process.size(), 0) >= 0 &&
                    ftruncate(number, static_cast<off_t>(process.size())) == 0);
  return lock;
}

pid_t ProcessLock::holder(const std::filesystem::path& file) {
  pid_t process = 0;
  if (const std::optional<std::string> text = read_file(file))
    std::from_chars(text->data(), text->data() + text->size(), process);
  return process;
}

ProcessLock::ProcessLock(ProcessLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

ProcessLock& ProcessLock::operator=(ProcessLock&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

ProcessLock::~ProcessLock() {
  if (file_ < 0) return;
  // Closing is not enough: a child that has not executed its program yet keeps the file open.
  static_cast<void>(flock(file_, LOCK_UN));
  close(file_);
}

}  // namespace culmen::cli
