#include "storage/file_locks.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "culmen/error.hpp"
#include "storage/system_error.hpp"

namespace culmen::storage {

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

bool lock_description(const Descriptor& file, const std::string& doing) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.number(), F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  throw_errno(doing, "it cannot be locked");
}

}  // namespace culmen::storage
