#include "storage/file_locks.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "culmen/error.hpp"
#include "storage/system_error.hpp"

namespace culmen::storage {

namespace {

/// False and errno if it fails.
bool set_description_lock(const Descriptor& file, short type) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return ::fcntl(file.number(), F_OFD_SETLK, &lock) == 0;
}

}  // namespace

std::optional<FileLock> FileLock::take(const Folder& folder, std::string_view name) {
  const std::string doing = "locking " + (folder.path() / name).string();
  Descriptor file = folder.open_or_make(name);
  while (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::nullopt;
    if (errno != EINTR) throw_errno(doing, "it cannot be locked");
  }
  // For the message of those who wait too long. Of no importance if it fails.
  const std::string process = std::to_string(::getpid()) + "\n";
  static_cast<void>(::pwrite(file.number(), process.data(), process.size(), 0) >= 0 &&
                    ::ftruncate(file.number(), static_cast<off_t>(process.size())) == 0);
  return FileLock(std::move(file));
}

long FileLock::holder(const Folder& folder, std::string_view name) noexcept {
  try {
    const std::optional<FileRead> file = folder.read(name);
    long process = 0;
    if (file) std::from_chars(file->contents.data(), file->contents.data() + file->contents.size(), process);
    return process;
  } catch (const Error&) {
    return 0;
  }
}

std::optional<FileLock> FileLock::of_description(Descriptor file, const std::string& doing) {
  if (set_description_lock(file, F_WRLCK)) return FileLock(std::move(file));
  if (errno == EAGAIN || errno == EACCES) return std::nullopt;
  throw_errno(doing, "it cannot be locked");
}

FileLock::FileLock(Descriptor file) : file_(std::move(file)), process_(::getpid()) {}

// Closing is not enough: a child that was forked, and has executed nothing, keeps the description open.
FileLock::~FileLock() {
  if (!file_ || process_ != ::getpid()) return;
  ::flock(file_.number(), LOCK_UN);
  set_description_lock(file_, F_UNLCK);
}

}  // namespace culmen::storage
