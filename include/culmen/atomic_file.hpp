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
/// symbolic link is kept, and its target replaced; a link that belongs to neither this user nor root is an error, since
/// whoever made it would choose which file is replaced. With `Links::replace` the link itself is replaced.
///
/// Throws Error (io_failed). The old file is then unchanged, unless only syncing the folder failed.
enum class Links { keep, replace };
void write_file_atomically(const std::filesystem::path& path, std::string_view contents, unsigned mode = 0644,
                           Links links = Links::keep);

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
/// For the folder of a certificate's files: gives every file there that contains a private key that access. With a
/// group, its members may also enter and list the folder and the one that it is in, and everybody may enter, not list,
/// the folders above them up to `top`. Symbolic links to the folder are followed. Throws Error (io_failed).
void set_access(const std::filesystem::path& folder, const std::filesystem::path& top, const FileAccess& access);

/// The file that these functions would replace at that path: all links are followed, also to what does not exist yet,
/// whoever made them. For comparing paths. Never throws for what cannot be read: it then stays as it is.
std::filesystem::path replaced_file(std::filesystem::path path);

/// Removes from the folder what the functions above left when they were killed: regular files with the name of their
/// temporary files that belong to this user, were last written `age` ago or earlier, and are not being written by any
/// process. They may contain keys. Errors are ignored.
void remove_unfinished_files(const std::filesystem::path& folder, std::chrono::seconds age);

/// The contents of the file; nullopt if it does not exist. Throws Error (io_failed) on any other failure, and if the
/// file is larger than `limit` bytes.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 16 << 20);

}  // namespace culmen
