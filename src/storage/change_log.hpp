// What was changed in a folder. Errors are thrown: Error (io_failed).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "storage/folder.hpp"

namespace culmen::storage {

/// A file with the names of what was changed lately, one a line, by which others learn of it.
class ChangeLog {
 public:
  explicit ChangeLog(const Folder& folder);
  /// Adds lines. An empty one means that anything may have changed.
  void add(const std::string& lines) const;

  /// Another text after each add(), by one system call.
  static std::string look(const Folder& folder);
  /// The end of the log.
  static std::string cursor(const Folder& folder);
  /// The end of the log, if a line that begins with `prefix` may have been added since `cursor`.
  static std::optional<std::string> changed_since(const Folder& folder, const std::string& cursor,
                                                  const std::string& prefix);

 private:
  std::filesystem::path path_;
  Descriptor file_;
};

}  // namespace culmen::storage
