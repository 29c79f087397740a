#include "culmen/process_lock.hpp"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

#include "culmen/atomic_file.hpp"
#include "storage/folder.hpp"
#include "storage/system_error.hpp"

namespace culmen {

struct ProcessLock::File {
  storage::Descriptor descriptor;
};

std::optional<ProcessLock> ProcessLock::take(const std::filesystem::path& file) {
  const storage::Folder folder = storage::Folder::open(file.parent_path());
  ProcessLock lock(std::make_unique<File>(File{folder.open_or_make(file.filename().string())}));
  const int number = lock.file_->descriptor.number();
  while (flock(number, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::nullopt;
    if (errno != EINTR) storage::throw_errno("locking " + file.string(), "it cannot be locked");
  }
  // For messages; of no importance if it fails, as on a full disk.
  const std::string process = std::to_string(getpid()) + "\n";
  static_cast<void>(pwrite(number, process.data(), process.size(), 0) >= 0 &&
                    ftruncate(number, static_cast<off_t>(process.size())) == 0);
  return lock;
}

int ProcessLock::holder(const std::filesystem::path& file) {
  int process = 0;
  if (const std::optional<std::string> text = read_file(file))
    std::from_chars(text->data(), text->data() + text->size(), process);
  return process;
}

ProcessLock::ProcessLock(std::unique_ptr<File> file) noexcept : file_(std::move(file)) {}
ProcessLock::ProcessLock(ProcessLock&& other) noexcept = default;
ProcessLock& ProcessLock::operator=(ProcessLock&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

ProcessLock::~ProcessLock() {
  // Closing is not enough: a child that has not executed its program yet keeps the file open.
  if (file_) static_cast<void>(flock(file_->descriptor.number(), LOCK_UN));
}

}  // namespace culmen
