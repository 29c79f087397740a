#include "files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"
#include "culmen/records.hpp"
#include "culmen/storage.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

Error system_error(const std::string& doing, int code, const std::string& hint = {}) {
  const std::error_code system(code, std::generic_category());
  return Error(Errc::io_failed, doing, system.message() + hint).with_system_code(system);
}

}  // namespace

fs::path state_folder(const std::string& dir_option) {
  if (!dir_option.empty()) return fs::absolute(dir_option).lexically_normal();
  if (geteuid() == 0) return "/var/lib/culmen";
  // XDG Base Directory Specification: "All paths set in these environment variables must be absolute. If an
  // implementation encounters a relative path … it should consider the path invalid and ignore it."
  if (const char* data = std::getenv("XDG_DATA_HOME"); data && *data == '/') return fs::path(data) / "culmen";
  if (const char* home = std::getenv("HOME"); home && *home == '/') return fs::path(home) / ".local/share/culmen";
  throw Failure(exit_usage, "invalid_argument", "there is no HOME to keep accounts and certificates in",
                "Say where with --dir FOLDER.");
}

void make_private_folder(const fs::path& folder) {
  std::error_code failed;
  if (fs::is_directory(folder, failed)) return;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), failed);
  if (failed) {
    throw system_error("making the folder " + folder.parent_path().string(), failed.value(),
                       "; another place can be given with --dir FOLDER");
  }
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw system_error("making the folder " + folder.string(), errno, "; another place can be given with --dir FOLDER");
  }
}

std::string server_slug(std::string_view directory_url) {
  std::string slug = storage_part_text(server_part(directory_url)).value();
  if (slug.empty() || slug.size() > 240) {
    throw Failure(exit_usage, "invalid_argument", "--server: not a usable URL: " + std::string(directory_url));
  }
  return slug;
}

std::optional<JsonObject> read_json(const fs::path& path) {
  const auto text = read_file(path);
  if (!text) return std::nullopt;
  auto object = JsonObject::parse(*text);
  if (!object) {
    throw Error(Errc::io_failed, "reading " + path.string(), "it is not a JSON object; move it away to start afresh");
  }
  return object;
}

std::string json_file_text(const JsonObject& object) { return object.serialized() + "\n"; }

void write_json(const fs::path& path, const JsonObject& object) {
  remove_unfinished_files(path.parent_path(), std::chrono::seconds(0));
  write_file_atomically(path, json_file_text(object), 0600);
}

}  // namespace culmen::cli
