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

/// Who may use a file. A plain value.
struct FileAccess {
  bool operator==(const FileAccess&) const = default;
  std::optional<unsigned> mode{};   ///< nullopt: as it is.
  std::optional<unsigned> group{};  ///< A group's number; nullopt: as it is.
};

/// Replaces the file as write_file_atomically() does, but a file that exists keeps its mode, owner, group and ACL, as
/// far as this user may set them; `access` goes before that. A new file gets `mode`. Does nothing but setting `access`
/// if the contents are the same. Returns whether it was written.
///
/// A file that cannot keep its group gets none of its group's permissions. Throws Error (io_failed).
bool replace_file(const std::filesystem::path& path, std::string_view contents, unsigned mode,
                  const FileAccess& access = {});
/// For the files of a certificate: gives every regular file in `folder` with a private key that access, and the folder
/// the group, and execution for it. Throws Error (io_failed).
void set_access(const std::filesystem::path& folder, const FileAccess& access);

/// Removes from the folder what the functions above left when they were killed: regular files with the name of their
/// temporary files that belong to this user and were last written `age` ago or earlier. They may contain keys. Errors
/// are ignored.
void remove_unfinished_files(const std::filesystem::path& folder, std::chrono::seconds age);

/// The contents of the file; nullopt if it does not exist. Throws Error (io_failed) on any other failure, and if the
/// file is larger than `limit` bytes.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 16 << 20);

}  // namespace culmen
