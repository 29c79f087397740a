#include "storage/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "culmen/error.hpp"
#include "storage/durable_files.hpp"
#include "storage/system_error.hpp"

namespace culmen::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t longest_file = 16 << 20;

std::string reading(const fs::path& path) { return "reading " + path.string(); }

/// One to a file beside it, by whoever owns the folder, leads nowhere that its owner could not move that file to.
void require_trusted_link(int folder, const struct stat& link, const std::string& part, const std::string& target,
                          const std::string& doing) {
  if (link.st_uid == 0 || link.st_uid == ::geteuid()) return;
  struct stat owner {};
  const bool is_beside = target != ".." && target.find('/') == std::string::npos;
  if (is_beside && ::fstat(folder, &owner) == 0 && owner.st_uid == link.st_uid) return;
  throw Error(Errc::io_failed, doing,
              "\"" + printable(part) + "\" is a symbolic link that belongs to user " + std::to_string(link.st_uid) +
                  ", and is not followed; if it is right, give it to the user of this process: chown -h");
}

std::string link_target(int folder, const char* name, const std::string& doing) {
  char target[4096];
  const ssize_t length = ::readlinkat(folder, name, target, sizeof target);
  if (length < 0) throw_errno(doing, "reading a symbolic link");
  return {target, static_cast<std::size_t>(length)};
}

/// Opens `path` below `base` part by part. No descriptor and errno if it cannot be opened.
Descriptor open_trusted(int base, const std::string& path, int flags, mode_t mode, const std::string& doing) {
  Descriptor at;
  int current = base;
  std::string rest = path;
  const auto begin_at_root = [&] {
    if (rest.empty() || rest.front() != '/') return true;
    at = Descriptor(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    current = at.number();
    return static_cast<bool>(at);
  };
  if (!begin_at_root()) return {};
  for (int links = 0; links <= most_links_followed;) {
    rest.erase(0, rest.find_first_not_of('/'));
    const std::size_t length = rest.find('/');
    const bool last = length == std::string::npos || rest.find_first_not_of('/', length) == std::string::npos;
    const std::string part = rest.empty() ? "." : rest.substr(0, length);
    const int how = last ? flags : O_PATH | O_DIRECTORY;
    Descriptor opened(::openat(current, part.c_str(), how | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!opened) {
      const int why = errno;
      struct stat found {};
      const bool is_link = (why == ELOOP || why == ENOTDIR) &&
                           ::fstatat(current, part.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(found.st_mode);
      if (!is_link) {
        errno = why;
        return {};
      }
      // What is checked and what is read must be the same link.
      const Descriptor link(::openat(current, part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (!link || ::fstat(link.number(), &found) != 0) return {};
      if (!S_ISLNK(found.st_mode)) continue;
      const std::string target = link_target(link.number(), "", doing);
      require_trusted_link(current, found, part, target, doing);
      rest = target + (last ? "" : rest.substr(length));
      ++links;
      if (!begin_at_root()) return {};
      continue;
    }
    if (last) return opened;
    rest.erase(0, length);
    at = std::move(opened);
    current = at.number();
  }
  errno = ELOOP;
  return {};
}

void refuse_nul(std::string_view path, const std::string& doing) {
  if (path.find('\0') != std::string_view::npos) throw Error(Errc::io_failed, doing, "the path contains a NUL");
}

}  // namespace

void give_to_owner_of(int folder, int made, const std::string& doing) {
  struct stat owner {};
  if (::geteuid() != 0 || ::fstat(folder, &owner) != 0 || owner.st_uid == 0) return;
  if (::fchown(made, owner.st_uid, owner.st_gid) != 0)
    throw_errno(doing, "giving it to the owner of its folder, user " + std::to_string(owner.st_uid));
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

bool Descriptor::close() noexcept { return ::close(std::exchange(number_, -1)) == 0; }

std::string read_to_end(const Descriptor& file, std::size_t limit, const std::string& doing) {
  std::string contents;
  char block[16384];
  while (true) {
    const ssize_t got = ::read(file.number(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(doing, "reading it");
    if (got == 0) return contents;
    if (static_cast<std::size_t>(got) > limit - contents.size())
      throw Error(Errc::io_failed, doing, "it is larger than " + std::to_string(limit) + " octets");
    contents.append(block, static_cast<std::size_t>(got));
  }
}

Folder Folder::open(const fs::path& path) {
  const std::string doing = "opening the folder " + path.string();
  refuse_nul(path.native(), doing);
  Descriptor opened = open_trusted(AT_FDCWD, path.native(), O_RDONLY | O_DIRECTORY, 0, doing);
  if (!opened) throw_errno(doing, "it cannot be used", make_or_mount);
  return {std::move(opened), path};
}

std::optional<Folder> Folder::find(std::string_view name) const {
  const fs::path path = path_ / name;
  const std::string doing = "opening the folder " + path.string();
  Descriptor opened = open_trusted(descriptor_.number(), std::string(name), O_RDONLY | O_DIRECTORY, 0, doing);
  if (opened) return Folder(std::move(opened), path);
  if (errno == ENOENT) return std::nullopt;
  throw_errno(doing, "it cannot be used");
}

Folder Folder::make(std::string_view name) const {
  std::optional<Folder> made;
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = name.find('/', end + 1);
    const std::string part(name.substr(0, end));
    const Folder& parent = made ? *made : *this;
    const std::string last = part.substr(part.rfind('/') + 1);
    std::optional<Folder> found = parent.find(last);
    if (!found) {
      const std::string doing = "making the folder " + (path_ / part).string();
      const bool is_new = ::mkdirat(parent.descriptor(), last.c_str(), private_folder_mode) == 0;
      if (!is_new && errno != EEXIST) throw_errno(doing, "it cannot be made");
      sync_folder(parent.descriptor(), doing);
      found = parent.find(last);
      if (!found) throw Error(Errc::io_failed, doing, "somebody else removed it");
      if (is_new) give_to_owner_of(parent.descriptor(), found->descriptor(), doing);
    }
    made = std::move(found);
  }
  return std::move(*made);
}

std::optional<FileRead> Folder::read(std::string_view name) const {
  const fs::path path = path_ / name;
  const std::string doing = reading(path);
  // Not to wait for the other end of a pipe.
  const Descriptor opened =
      open_trusted(descriptor_.number(), std::string(name), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, doing);
  if (!opened && errno == ENOENT) return std::nullopt;
  if (!opened && errno == ENXIO) throw Error(Errc::io_failed, doing, "it is not a regular file");
  if (!opened) throw_errno(doing, "opening it");
  FileRead file;
  if (::fstat(opened.number(), &file.status) != 0) throw_errno(doing, "looking at it");
  if (!S_ISREG(file.status.st_mode))
    throw Error(Errc::io_failed, doing, "it is not a regular file; remove it, or move it away");
  file.contents = read_to_end(opened, longest_file, doing);
  return file;
}

std::optional<std::string> Folder::read_link(std::string_view name) const {
  const std::string last(name), doing = reading(path_ / name);
  const std::optional<struct stat> found = status(name);
  if (!found) return std::nullopt;
  if (!S_ISLNK(found->st_mode)) {
    throw Error(Errc::io_failed, doing,
                S_ISDIR(found->st_mode) ? "it is a folder, and must be a symbolic link" : "it is not a link");
  }
  std::string target = link_target(descriptor_.number(), last.c_str(), doing);
  require_trusted_link(descriptor_.number(), *found, last, target, doing);
  return target;
}

std::optional<struct stat> Folder::status(std::string_view name) const {
  const std::string last(name);
  struct stat found {};
  if (::fstatat(descriptor_.number(), last.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) return found;
  if (errno == ENOENT) return std::nullopt;
  throw_errno("looking at " + (path_ / last).string(), "it cannot be found out");
}

std::vector<std::string> Folder::names() const {
  const std::string doing = "listing " + path_.string();
  const int copy = ::openat(descriptor_.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) throw_errno(doing, "opening it");
  const std::unique_ptr<DIR, int (*)(DIR*)> listed(::fdopendir(copy), ::closedir);
  if (!listed) {
    ::close(copy);
    throw_errno(doing, "opening it");
  }
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(listed.get());
    if (!entry && errno != 0) throw_errno(doing, "reading it");
    if (!entry) return names;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

Descriptor Folder::open_or_make(std::string_view name) const {
  const std::string doing = "opening " + (path_ / name).string();
  const int how = O_RDWR | O_NONBLOCK | O_NOCTTY;
  // First as a new one, which is known to be this process's own.
  Descriptor opened = open_trusted(descriptor_.number(), std::string(name), how | O_CREAT | O_EXCL, 0600, doing);
  if (opened) {
    give_to_owner_of(descriptor_.number(), opened.number(), doing);
  } else if (errno == EEXIST) {
    opened = open_trusted(descriptor_.number(), std::string(name), how | O_CREAT, 0600, doing);
  }
  if (!opened) throw_errno(doing, "it cannot be opened");
  struct stat found {};
  if (::fstat(opened.number(), &found) != 0) throw_errno(doing, "looking at it");
  if (!S_ISREG(found.st_mode))
    throw Error(Errc::io_failed, doing, "it is not a regular file; remove it, or move it away");
  return opened;
}

void Folder::sync() const { sync_folder(descriptor_.number(), "writing to " + path_.string()); }

}  // namespace culmen::storage
