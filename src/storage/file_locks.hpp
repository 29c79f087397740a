// Locks that processes have on files. Errors are thrown: Error (io_failed), with the path.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/folder.hpp"

namespace culmen::storage {

/// A lock that is never waited for. Held until it is destroyed; the system releases it when the process ends. A child
/// that was forked has the same lock: it ends with the parent's object, and not with the child's copy.
class FileLock {
 public:
  /// nullopt if another holds it. Writes the process id of the holder into the file.
  static std::optional<FileLock> take(const Folder& folder, std::string_view name);
  /// The process id that the last holder wrote; 0 if that is not known.
  static long holder(const Folder& folder, std::string_view name) noexcept;
  /// Locks an open file for its open file description (F_OFD_SETLK); nullopt if another has it.
  static std::optional<FileLock> of_description(Descriptor file, const std::string& doing);

  FileLock(FileLock&& other) noexcept = default;
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(process_, other.process_);
    return *this;
  }
  ~FileLock();
  const Descriptor& file() const noexcept { return file_; }

 private:
  explicit FileLock(Descriptor file);
  Descriptor file_;
  pid_t process_;
};

}  // namespace culmen::storage
