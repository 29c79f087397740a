#include "storage/file_systems.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <optional>
#include <sstream>

#include "storage/folder.hpp"
#include "storage/system_error.hpp"

namespace culmen::storage {

namespace {

// From statfs(2).
constexpr std::uint64_t nfs_type = 0x6969, fuse_type = 0x65735546;
constexpr std::uint64_t smb_type = 0x517B, cifs_type = 0xFF534D42, smb2_type = 0xFE534D42;

}  // namespace

bool needs_mount_name(std::uint64_t type) noexcept { return type == nfs_type || type == fuse_type; }

// proc(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
std::string mount_name(std::string_view mountinfo, unsigned major, unsigned minor) {
  const std::string device = std::to_string(major) + ":" + std::to_string(minor);
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, mounted, word, name;
    words >> id >> parent >> mounted;
    if (mounted != device) continue;
    while (words >> word && word != "-") {
    }
    if (words >> name) return name;
  }
  return {};
}

std::string refused_file_system(std::uint64_t type, std::string_view name) {
  // The kernel calls NFSv4 "nfs4", and NFSv3 "nfs".
  if (type == nfs_type) return name == "nfs4" ? std::string() : "NFSv3";
  if (type == smb_type || type == cifs_type || type == smb2_type) return "SMB";
  if (type == fuse_type && name.starts_with("fuse.glusterfs")) return "GlusterFS";
  return {};
}

std::string refused_file_system_of(int folder, const std::string& doing) {
  struct statfs system {};
  struct stat found {};
  if (::fstatfs(folder, &system) != 0 || ::fstat(folder, &found) != 0)
    throw_errno(doing, "finding out the type of its file system");
  const auto type = static_cast<std::uint64_t>(system.f_type) & 0xFFFFFFFF;
  std::string name;
  if (needs_mount_name(type)) {
    const std::optional<FileRead> mounts = Folder::open("/proc/self").read("mountinfo");
    if (mounts) name = mount_name(mounts->contents, major(found.st_dev), minor(found.st_dev));
  }
  return refused_file_system(type, name);
}

}  // namespace culmen::storage
