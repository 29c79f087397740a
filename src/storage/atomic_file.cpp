#include "culmen/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <set>
#include <system_error>

#include "base/text.hpp"
#include "culmen/error.hpp"
#include "storage/durable_files.hpp"
#include "storage/system_error.hpp"

namespace culmen {

namespace fs = std::filesystem;

namespace {

using storage::Descriptor;

constexpr int most_names_tried = 1000;
constexpr std::string_view temporary_begin = ".culmen-", temporary_end = ".tmp";  // between them: two numbers

/// Removes the file unless it was put in place.
class Unfinished {
 public:
  explicit Unfinished(fs::path path) : path_(std::move(path)) {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const fs::path& path() const noexcept { return path_; }
  void finished() noexcept { path_.clear(); }

 private:
  fs::path path_;
};

void refuse_odd_path(const fs::path& path, const std::string& doing) {
  if (path.empty()) throw Error(Errc::io_failed, doing, "the path is empty");
  if (path.native().find('\0') != std::string::npos) throw Error(Errc::io_failed, doing, "the path contains a NUL");
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

/// The file that `path` means: behind symbolic links, whether it is there or not. So the links stay.
fs::path behind_links(fs::path path, const std::string& doing) {
  for (int links = 0; links < storage::most_links_followed; ++links) {
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) return path;  // no link; what else is wrong shows when the file is made
    path = target.is_absolute() ? target : folder_of(path) / target;
  }
  errno = ELOOP;
  storage::throw_errno(doing, "following symbolic links");
}

/// A rename would replace a device or a pipe by a file, and fails for a directory.
void refuse_special_file(const fs::path& file, const std::string& doing) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0 || S_ISREG(found.st_mode)) return;
  throw Error(Errc::io_failed, doing, S_ISDIR(found.st_mode) ? "it is a directory" : "it is not a regular file");
}

/// A new file in the same folder, closed to everyone else until it has its mode.
std::pair<Descriptor, fs::path> make_file_beside(const fs::path& file, const std::string& doing) {
  static std::atomic<unsigned> counter = 0;
  for (int tries = 0; tries < most_names_tried; ++tries) {
    const std::string name = std::string(temporary_begin) + std::to_string(::getpid()) + "-" +
                             std::to_string(counter++) + std::string(temporary_end);
    fs::path path = folder_of(file) / name;
    Descriptor made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (made) return {std::move(made), std::move(path)};
    if (errno != EEXIST && errno != EINTR) break;
  }
  storage::throw_errno(doing, "making a file in the folder " + folder_of(file).string());
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_temporary_name(std::string_view name) {
  if (!name.starts_with(temporary_begin) || !name.ends_with(temporary_end)) return false;
  name.remove_prefix(temporary_begin.size());
  if (name.size() < temporary_end.size()) return false;
  name.remove_suffix(temporary_end.size());
  const std::size_t dash = name.find('-');
  return dash != std::string_view::npos && is_number(name.substr(0, dash)) && is_number(name.substr(dash + 1));
}

/// A new file beside the one it will replace.
class Replacement {
 public:
  /// Written, not yet synced.
  Replacement(const fs::path& path, std::string_view contents, unsigned mode, bool is_owners = false)
      : doing_("writing " + path.string()),
        file_(target_of(path, doing_)),
        made_(make_file_beside(file_, doing_)),
        fresh_(made_.second) {
    if (is_owners) {
      const Descriptor folder(::open(folder_of(file_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (folder) storage::give_to_owner_of(folder.number(), made_.first.number(), doing_);
    }
    // Not by the mode of open(): that one the umask cuts.
    if (::fchmod(made_.first.number(), static_cast<mode_t>(mode & 07777)) != 0)
      storage::throw_errno(doing_, "setting its mode");
    if (!storage::write_all(made_.first.number(), contents)) storage::throw_errno(doing_, "writing its contents");
  }
  void sync() {
    if (::fsync(made_.first.number()) != 0) storage::throw_errno(doing_, "syncing its contents");
    if (!made_.first.close()) storage::throw_errno(doing_, "closing it");
  }
  void put_in_place() {
    if (::rename(fresh_.path().c_str(), file_.c_str()) != 0)
      storage::throw_errno(doing_, "putting the new file in its place");
    fresh_.finished();
  }
  fs::path folder() const { return folder_of(file_); }
  void sync_its_folder() const { storage::sync_folder(folder(), doing_); }

 private:
  static fs::path target_of(const fs::path& path, const std::string& doing) {
    refuse_odd_path(path, doing);
    fs::path file = behind_links(path, doing);
    refuse_special_file(file, doing);
    return file;
  }

  const std::string doing_;
  const fs::path file_;
  std::pair<Descriptor, fs::path> made_;
  Unfinished fresh_;
};

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view contents, unsigned mode) {
  Replacement replacement(path, contents, mode);
  replacement.sync();
  replacement.put_in_place();
  replacement.sync_its_folder();
}

void write_files_atomically(const fs::path& folder, const std::vector<FileContents>& files) {
  // First all writing, then all syncing: most file systems sync all of it with the first.
  std::list<Replacement> replacements;
  for (const FileContents& file : files) replacements.emplace_back(folder / file.name, file.contents, file.mode);
  for (Replacement& replacement : replacements) replacement.sync();
  std::set<fs::path> synced;  // one folder, unless there are links that lead elsewhere
  for (Replacement& replacement : replacements) replacement.put_in_place();
  for (const Replacement& replacement : replacements) {
    if (synced.insert(replacement.folder()).second) replacement.sync_its_folder();
  }
}

void remove_unfinished_files(const fs::path& folder, std::chrono::seconds age) {
  const auto newest = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() - age);
  std::error_code ignored;
  std::vector<fs::path> left;
  for (auto entry = fs::directory_iterator(folder, ignored); entry != fs::directory_iterator();
       entry.increment(ignored)) {
    struct stat found {};
    const fs::path& path = entry->path();
    const bool is_ours = is_temporary_name(path.filename().native()) && ::lstat(path.c_str(), &found) == 0 &&
                         S_ISREG(found.st_mode) && found.st_uid == ::geteuid() && found.st_mtime <= newest;
    if (is_ours) left.push_back(path);
  }
  for (const fs::path& path : left) ::unlink(path.c_str());
}

std::optional<std::string> read_file(const fs::path& path, std::size_t limit) {
  const std::string doing = "reading " + path.string();
  refuse_odd_path(path, doing);
  const Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened && errno == ENOENT) return std::nullopt;
  if (!opened) storage::throw_errno(doing, "opening it");
  return storage::read_to_end(opened, limit, doing);
}

namespace storage {

void write_owners_file(const fs::path& path, std::string_view contents, unsigned mode) {
  Replacement replacement(path, contents, mode, true);
  replacement.sync();
  replacement.put_in_place();
  replacement.sync_its_folder();
}

}  // namespace storage

}  // namespace culmen
