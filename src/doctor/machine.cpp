// What can be looked at without asking anybody: folders and programs of this machine.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "culmen/checkup.hpp"
#include "culmen/program.hpp"

namespace culmen {

namespace fs = std::filesystem;

namespace {

using Verdict = Finding::Verdict;
constexpr std::uintmax_t little_space = 1 << 20;

/// The nearest that exists: the folder, or one above it.
fs::path nearest_folder(const fs::path& folder) {
  std::error_code failed;
  fs::path there = fs::absolute(folder, failed).lexically_normal();
  while (!fs::exists(there, failed) && there.has_relative_path()) there = there.parent_path();
  return there;
}

std::string whose(const struct stat& status) {
  if (status.st_mode & S_IWOTH) return "everybody can write to it";
  if ((status.st_mode & S_IWGRP) && status.st_gid != 0 && status.st_gid != getegid())
    return "the group " + std::to_string(status.st_gid) + " can write to it";
  if (status.st_uid != 0 && status.st_uid != geteuid()) return "it belongs to user " + std::to_string(status.st_uid);
  return {};
}

}  // namespace

Finding check_folder(const std::string& folder) {
  const fs::path there = nearest_folder(folder);
  const bool exists = there == fs::path(folder).lexically_normal();
  std::error_code failed;
  if (!fs::is_directory(there, failed))
    return Finding(Verdict::machine, "folder", folder, there.string() + " is not a folder",
                   "Name another one with --dir.");
  if (access(there.c_str(), W_OK | X_OK) != 0) {
    return Finding(Verdict::machine, "folder", folder, "this user cannot write to " + there.string(),
                   "Change its mode or owner, name another folder with --dir, or run culmen as another user.");
  }
  const fs::space_info space = fs::space(there, failed);
  if (!failed && space.available < little_space)
    return Finding(Verdict::machine, "folder", folder, "its disk is full",
                   "Make room: a key that is lost cannot be had again.");
  return Finding(Verdict::good, "folder", folder, exists ? "can be written" : "does not exist yet, and can be made");
}

Finding check_hook(const std::string& option, const std::string& program) {
  const std::string subject = option + " " + printable(program);
  if (const std::string why = obstacle_of_program(program); !why.empty()) {
    return Finding(Verdict::machine, "hook", subject, "cannot be run: " + why,
                   "Install it, make it executable (chmod +x), or name another program.");
  }
  struct stat status {};
  if (program.find('/') != std::string::npos && stat(program.c_str(), &status) == 0) {
    if (const std::string others = whose(status); !others.empty()) {
      return Finding(Verdict::note, "hook", subject, "can be run, but " + others,
                     "Whoever can change it can act as this user: let it belong to root or this user alone.");
    }
  }
  return Finding(Verdict::good, "hook", subject, "can be run");
}

}  // namespace culmen
