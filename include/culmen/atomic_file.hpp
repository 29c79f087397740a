// Files that are seen old or new, never half.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culmen {

/// Replaces `path` by `contents`: written beside it, synced, renamed over it, the folder synced. The file is born with
/// `mode` (octal). Throws Error (io_failed) and leaves the old file as it was.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents, unsigned mode = 0644);

/// What to write, and to which file of a folder.
struct FileContents {
  std::string name;
  std::string contents;
  unsigned mode = 0644;
};

/// Replaces several files of a folder, each as write_file_atomically() does, and quicker than one by one: each is old
/// or new, and none is new before all are written. Throws Error (io_failed); those that had their turn are new then.
void write_files_atomically(const std::filesystem::path& folder, const std::vector<FileContents>& files);

/// The whole file; nullopt when there is none. Any other failure throws Error (io_failed): it is not "none".
/// Files over `limit` bytes are refused.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 16 << 20);

}  // namespace culmen
