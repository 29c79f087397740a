#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

PassingFolder::PassingFolder(const std::string& name, Place place) {
  std::string path = "/dev/shm/" + name + "-XXXXXX";
  if (place == Place::memory && !std::getenv("TMPDIR") && mkdtemp(path.data())) {
    path_ = path;
    return;
  }
  const fs::path parent = fs::temp_directory_path();
  path = (parent / (name + "-XXXXXX")).string();
  if (!mkdtemp(path.data())) throw system_error("making a folder in " + parent.string(), errno);
  path_ = path;
}

PassingFolder::~PassingFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path state_folder(const std::string& dir_option) {
  if (!dir_option.empty()) return remembered_path(dir_option);
  if (geteuid() == 0) return "/var/lib/culmen";
  // XDG Base Directory Specification: "All paths set in these environment variables must be absolute. If an
  // implementation encounters a relative path … it should consider the path invalid and ignore it."
  if (const char* data = std::getenv("XDG_DATA_HOME"); data && *data == '/')
    return remembered_path(std::string(data) + "/culmen");
  if (const char* home = std::getenv("HOME"); home && *home == '/')
    return remembered_path(std::string(home) + "/.local/share/culmen");
  throw Failure(exit_usage, "invalid_argument", "HOME is not set, so there is no folder for accounts and certificates",
                "Say where with --dir FOLDER.");
}

fs::path remembered_path(const std::string& path) {
  fs::path absolute = fs::absolute(path).lexically_normal();
  const std::string& text = absolute.native();
  const bool has_controls =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (is_utf8(text) && !has_controls) return absolute;
  throw Failure(exit_usage, "invalid_argument",
                "the path " + printable(text) + (has_controls ? " has a control character in it" : " is not UTF-8") +
                    ", and cannot be remembered",
                "Name it with other characters.");
}

namespace {

/// With those around it. Each is durable before something is put into it.
void make_folder(const fs::path& folder, mode_t mode) {
  std::error_code failed;
  if (fs::is_directory(folder, failed)) return;
  const fs::path parent = folder.has_parent_path() ? folder.parent_path() : fs::path(".");
  if (parent != folder) make_folder(parent, 0777);
  if (mkdir(folder.c_str(), mode) != 0 && errno != EEXIST)
    throw system_error("making the folder " + folder.string(), errno, "; another place can be given with --dir FOLDER");
  // One that may be entered, and not read, cannot be synced.
  const int around = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (around < 0) return;
  const int why = fsync(around) == 0 ? 0 : errno;
  close(around);
  if (why != 0 && why != EINVAL) throw system_error("syncing the folder " + parent.string(), why, "");
}

}  // namespace

void make_private_folder(const fs::path& folder) { make_folder(folder, 0700); }

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
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
    throw Error(Errc::io_failed, "reading " + path.string(), "it is not a JSON object; move it away to start over");
  }
  return object;
}

void write_json(const fs::path& path, const JsonObject& object) {
  remove_unfinished_files(path.parent_path(), std::chrono::seconds(0));
  write_file_atomically(path, object.serialized() + "\n", 0600);
}

}  // namespace culmen::cli
