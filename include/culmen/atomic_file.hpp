// Replacing files atomically. All functions are thread-safe.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culmen {

/// Replaces the file at `path`: writes a temporary file in the same folder, syncs it, renames it to `path`, and syncs
/// the folder. Readers see the old contents or the new ones. The file has permissions `mode`, whatever the umask. A
/// symbolic link is kept, and its target replaced.
///
/// Throws Error (io_failed). The old file is then unchanged, unless only syncing the folder failed.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents, unsigned mode = 0644);

/// One file for write_files_atomically(). A plain value.
struct FileContents {
  std::string name;
  std::string contents;
  unsigned mode = 0644;
};

/// Replaces several files in a folder, each as write_file_atomically() does, and faster than one by one. No file is
/// replaced before all contents are written. Throws Error (io_failed); some files may then have been replaced.
void write_files_atomically(const std::filesystem::path& folder, const std::vector<FileContents>& files);

/// Removes from the folder what the functions above left when they were killed: regular files with the name of their
/// temporary files that belong to this user and were last written `age` ago or earlier. They may contain keys. Errors
/// are ignored.
void remove_unfinished_files(const std::filesystem::path& folder, std::chrono::seconds age);

/// The contents of the file; nullopt if it does not exist. Throws Error (io_failed) on any other failure, and if the
/// file is larger than `limit` bytes.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 16 << 20);

}  // namespace culmen
