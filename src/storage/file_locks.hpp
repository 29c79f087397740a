// Locks that processes have on files. Errors are thrown: Error (io_failed), with the path.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/folder.hpp"

namespace culmen::storage {

/// A lock that is never waited for. Held until it is destroyed; the system releases it when the process ends.
class FileLock {
 public:
  /// nullopt if another holds it. Writes the process id of the holder into the file.
  static std::optional<FileLock> take(const Folder& folder, std::string_view name);
  /// The process id that the last holder wrote; 0 if that is not known.
  static long holder(const Folder& folder, std::string_view name) noexcept;

 private:
  explicit FileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  Descriptor descriptor_;
};

/// Locks the open file for this open file description (F_OFD_SETLK); false if another has it.
bool lock_description(const Descriptor& file, const std::string& doing);

}  // namespace culmen::storage
