#include "culmen/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <set>
#include <system_error>

#include "base/text.hpp"
#include "culmen/error.hpp"
#include "storage/account_names.hpp"
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

/// Linux refuses to follow some of these itself (fs.protected_symlinks); it cannot know of those that are read here.
void refuse_foreign_link(const fs::path& link, const std::string& doing) {
  struct stat found {};
  if (::lstat(link.c_str(), &found) != 0 || found.st_uid == 0 || found.st_uid == ::geteuid()) return;
  throw Error(Errc::io_failed, doing,
              link.string() + " is a symbolic link that belongs to another user (" + std::to_string(found.st_uid) +
                  "); remove it, or name the file itself");
}

/// The file that `path` means: behind symbolic links, whether it is there or not. So the links stay.
fs::path behind_links(fs::path path, const std::string& doing) {
  for (int links = 0; links < storage::most_links_followed; ++links) {
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) return path;  // no link; what else is wrong shows when the file is made
    refuse_foreign_link(path, doing);
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

/// Shows the others that somebody writes this file; false if one of them removes it.
bool is_held(int file) {
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;  // others: not on this file system
  struct stat found {};
  return ::fstat(file, &found) != 0 || found.st_nlink > 0;
}

/// Removes a file unless somebody writes it.
void remove_if_left(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file && ::flock(file.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return;
  ::unlink(path.c_str());
}

/// A new file in the same folder, closed to everyone else until it has its mode.
std::pair<Descriptor, fs::path> make_file_beside(const fs::path& file, const std::string& doing) {
  static std::atomic<unsigned> counter = 0;
  for (int tries = 0; tries < most_names_tried; ++tries) {
    const std::string name = std::string(temporary_begin) + std::to_string(::getpid()) + "-" +
                             std::to_string(counter++) + std::string(temporary_end);
    fs::path path = folder_of(file) / name;
    Descriptor made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (made && is_held(made.number())) return {std::move(made), std::move(path)};
    if (made) continue;  // somebody took it for a file that was left
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

/// File systems without access control lists, and files without one, have nothing to copy.
void copy_acl(const fs::path& from, int to) {
  constexpr const char* name = "system.posix_acl_access";
  std::vector<char> acl(65536);
  const ssize_t size = ::getxattr(from.c_str(), name, acl.data(), acl.size());
  // Not worth an error: the file then has the mode alone, which gives no more than the list did.
  if (size > 0) (void)::fsetxattr(to, name, acl.data(), static_cast<std::size_t>(size), 0);
}

/// `code`: errno; `advice`: what to type if this user may not do that.
[[noreturn]] void throw_refusal(int code, const std::string& doing, const std::string& step,
                                const std::string& advice) {
  errno = code;
  if (code != EPERM) storage::throw_errno(doing, step);
  const std::error_code system(code, std::generic_category());
  throw Error(Errc::io_failed, doing, step + ": " + system.message() + "; " + advice).with_system_code(system);
}

std::string octal(unsigned mode) {
  std::string digits;
  for (int shift = 9; shift >= 0; shift -= 3) digits += static_cast<char>('0' + (mode >> shift & 7));
  return digits;
}

/// `path`: of the file, for errors.
void give_access(int file, const FileAccess& access, const fs::path& path, const std::string& doing) {
  struct stat own {};
  if (::fstat(file, &own) != 0) storage::throw_errno(doing, "looking at " + path.string());
  if (access.group && own.st_gid != *access.group &&
      ::fchown(file, static_cast<uid_t>(-1), static_cast<gid_t>(*access.group)) != 0) {
    const int code = errno;
    const gid_t group = static_cast<gid_t>(*access.group);
    throw_refusal(code, doing, "giving " + path.string() + " to the group " + storage::group_name(group),
                  "only root and members of the group can: as root, type " + storage::join_command(group) +
                      " and start this again, or run it as root");
  }
  if (access.mode && (own.st_mode & 07777) != *access.mode && ::fchmod(file, static_cast<mode_t>(*access.mode)) != 0) {
    const int code = errno;
    const std::string mode = octal(*access.mode);
    throw_refusal(code, doing, "setting the mode of " + path.string() + " to " + mode,
                  "it belongs to the user " + storage::user_name(own.st_uid) + ": as that user or root, type chmod " +
                      mode + " " + path.string());
  }
}

/// A new file beside the one it will replace.
class Replacement {
 public:
  /// Written, not yet synced.
  Replacement(const fs::path& path, std::string_view contents, unsigned mode, Links links = Links::keep,
              bool is_owners = false)
      : doing_("writing " + path.string()),
        file_(target_of(path, links, doing_)),
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
  /// Takes mode, owner, group and ACL of the file that it replaces, as far as that is possible.
  void take_after(const struct stat& like) {
    const int file = made_.first.number();
    struct stat own {};
    if (::fstat(file, &own) != 0) storage::throw_errno(doing_, "looking at the new file");
    mode_t mode = like.st_mode & 07777;
    const bool differs = like.st_uid != own.st_uid || like.st_gid != own.st_gid;
    // Only root may give files away; a user may choose among its groups.
    if (differs && ::fchown(file, like.st_uid, like.st_gid) != 0 &&
        ::fchown(file, static_cast<uid_t>(-1), like.st_gid) != 0 && like.st_gid != own.st_gid) {
      mode &= ~static_cast<mode_t>(0070);  // another group must not get what that group had
    }
    if (::fchmod(file, mode) != 0) storage::throw_errno(doing_, "setting its mode");
    copy_acl(file_, file);
  }
  void give(const FileAccess& access) { give_access(made_.first.number(), access, file_, doing_); }
  void sync() {
    // It is closed, and so no longer held, after it was put in its place.
    if (::fsync(made_.first.number()) != 0) storage::throw_errno(doing_, "syncing its contents");
  }
  void put_in_place() {
    if (::rename(fresh_.path().c_str(), file_.c_str()) != 0)
      storage::throw_errno(doing_, "putting the new file in its place");
    fresh_.finished();
  }
  fs::path folder() const { return folder_of(file_); }
  void sync_its_folder() const { storage::sync_folder(folder(), doing_); }

 private:
  static fs::path target_of(const fs::path& path, Links links, const std::string& doing) {
    refuse_odd_path(path, doing);
    if (links == Links::replace && fs::is_symlink(path)) return path;
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

void write_file_atomically(const fs::path& path, std::string_view contents, unsigned mode, Links links) {
  Replacement replacement(path, contents, mode, links);
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

bool replace_file(const fs::path& path, std::string_view contents, unsigned mode, const FileAccess& access) {
  const std::string doing = "writing " + path.string();
  remove_unfinished_files(folder_of(behind_links(path, doing)), std::chrono::seconds(0));
  struct stat before {};
  const bool exists = ::stat(path.c_str(), &before) == 0;
  if (exists && S_ISREG(before.st_mode) && before.st_size == static_cast<off_t>(contents.size()) &&
      read_file(path, contents.size()) == contents) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) storage::throw_errno(doing, "opening it");
    give_access(file.number(), access, path, doing);
    return false;
  }
  Replacement replacement(path, contents, exists ? 0600 : mode);
  if (exists) replacement.take_after(before);
  replacement.give(access);
  replacement.sync();
  replacement.put_in_place();
  replacement.sync_its_folder();
  return true;
}

void set_access(const fs::path& folder, const fs::path& top, const FileAccess& access) {
  const std::string doing = "setting who may read the keys in " + folder.string();
  const auto open_at = [&doing](const fs::path& path, int how) {
    Descriptor opened(::open(path.c_str(), how | O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened) storage::throw_errno(doing, "opening " + path.string());
    return opened;
  };
  const auto also = [&doing](int file, const fs::path& path, mode_t more, const char* letters) {
    struct stat found {};
    if (::fstat(file, &found) != 0) storage::throw_errno(doing, "looking at the folder " + path.string());
    if ((found.st_mode & more) != more && ::fchmod(file, (found.st_mode | more) & 07777) != 0) {
      const int code = errno;
      throw_refusal(code, doing, "setting the mode of the folder " + path.string(),
                    "it belongs to the user " + storage::user_name(found.st_uid) +
                        ": as that user or root, type chmod " + letters + " " + path.string());
    }
  };
  std::error_code failed;
  const fs::path real = fs::canonical(folder, failed), real_top = fs::canonical(top, failed);
  if (failed) throw Error(Errc::io_failed, doing, failed.message()).with_system_code(failed);
  for (const fs::directory_entry& entry : fs::directory_iterator(real, failed)) {
    if (!entry.is_regular_file(failed) || entry.is_symlink(failed)) continue;
    if (read_file(entry.path()).value_or("").find("PRIVATE KEY-----") == std::string::npos) continue;
    give_access(open_at(entry.path(), O_NOFOLLOW).number(), access, entry.path(), doing);
  }
  if (failed) throw Error(Errc::io_failed, doing, failed.message()).with_system_code(failed);
  if (!access.group) return;
  constexpr mode_t group_may_list = 0050, all_may_enter = 0001;
  int above = 0;
  for (fs::path path = real; path != path.root_path(); path = path.parent_path(), ++above) {
    const Descriptor opened = open_at(path, O_DIRECTORY);
    FileAccess of_folder;
    if (above < 2) of_folder.group = access.group;
    give_access(opened.number(), of_folder, path, doing);
    also(opened.number(), path, above < 2 ? group_may_list : all_may_enter, above < 2 ? "g+rx" : "o+x");
    if (path == real_top) break;
  }
}

fs::path replaced_file(fs::path path) {
  for (int links = 0; links < storage::most_links_followed; ++links) {
    std::error_code failed;
    path = fs::weakly_canonical(fs::absolute(path).parent_path(), failed) / path.filename();
    const fs::path target = fs::read_symlink(path, failed);
    if (failed) break;
    path = path.parent_path() / target;
  }
  return path.lexically_normal();
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
  for (const fs::path& path : left) remove_if_left(path);
}

std::optional<std::string> read_file(const fs::path& path, std::size_t limit) {
  const std::string doing = "reading " + path.string();
  refuse_odd_path(path, doing);
  const Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe would wait for a writer
  if (!opened && errno == ENOENT) return std::nullopt;
  if (!opened) storage::throw_errno(doing, "opening it");
  struct stat found {};
  if (::fstat(opened.number(), &found) != 0) storage::throw_errno(doing, "looking at it");
  if (S_ISFIFO(found.st_mode)) throw Error(Errc::io_failed, doing, "it is a pipe, and not a file");
  return storage::read_to_end(opened, limit, doing);
}

namespace storage {

void write_owners_file(const fs::path& path, std::string_view contents, unsigned mode) {
  Replacement replacement(path, contents, mode, Links::keep, true);
  replacement.sync();
  replacement.put_in_place();
  replacement.sync_its_folder();
}

}  // namespace storage

}  // namespace culmen
