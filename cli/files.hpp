// The state folder, and small JSON files in it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "json_object.hpp"

namespace culmen::cli {

/// --dir, or /var/lib/culmen for root and the XDG data folder for everybody else.
std::filesystem::path state_folder(const std::string& dir_option);

/// A file in a folder that is to keep certificates: without it, the folder may be one where a disk should be mounted.
inline constexpr const char* folder_mark = "culmen.json";

/// The absolute path of what is remembered, in JSON. Throws Failure (exit_usage) when it is not UTF-8, or has control
/// characters in it.
std::filesystem::path remembered_path(const std::string& path);

/// Makes the folder with mode 0700, and its parents as the umask has it. Throws Error (io_failed).
void make_private_folder(const std::filesystem::path& folder);

/// A folder of its own among the temporary ones, which is removed at the end. With Place::memory in memory, if there is
/// such a folder and TMPDIR does not name another. Throws Error (io_failed).
class PassingFolder {
 public:
  enum class Place { temporary, memory };
  explicit PassingFolder(const std::string& name, Place place = Place::temporary);
  ~PassingFolder();
  PassingFolder(const PassingFolder&) = delete;
  PassingFolder& operator=(const PassingFolder&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Whether the path is that folder, or in it. By their texts.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder);

/// Host and path of a directory URL as one file name; different URLs give different names.
std::string server_slug(std::string_view directory_url);

/// The object in a JSON file; nullopt when there is no file. Throws Error (io_failed) when it is something else.
std::optional<JsonObject> read_json(const std::filesystem::path& path);
void write_json(const std::filesystem::path& path, const JsonObject& object);

}  // namespace culmen::cli
