// The state folder, locks, and small JSON files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "json_object.hpp"

namespace culmen::cli {

/// --dir, or /var/lib/culmen for root and the XDG data folder for everybody else.
std::filesystem::path state_folder(const std::string& dir_option);

/// Makes the folder with mode 0700, and its parents as the umask has it. Throws Error (io_failed).
void make_private_folder(const std::filesystem::path& folder);

/// Host and path of a directory URL as one file name; different URLs give different names.
std::string server_slug(std::string_view directory_url);

/// A folder that no other culmen works on while this lives.
class FolderLock {
 public:
  /// Waits `patience` for another culmen to finish; then throws Failure (exit_temporary). `what` is for that text.
  FolderLock(const std::filesystem::path& folder, std::string_view what, int patience_seconds);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// Lets `link` point to `target`: seen old or new, never absent. Throws Error (io_failed).
void switch_link(const std::filesystem::path& link, const std::filesystem::path& target);

/// The object in a JSON file; nullopt when there is no file. Throws Error (io_failed) when it is something else.
std::optional<JsonObject> read_json(const std::filesystem::path& path);
/// The contents of the file that write_json() writes.
std::string json_file_text(const JsonObject& object);
void write_json(const std::filesystem::path& path, const JsonObject& object);

}  // namespace culmen::cli
