// Servers run without root's rights, also when the test has them.
#pragma once

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "support/temporary_folder.hpp"

namespace server_test {

/// Makes the folder and its files those of the user that servers run as.
inline void give_to_owner(const culmen::test::TemporaryFolder& folder) {
  if (geteuid() != 0) return;
  const passwd* const nobody = getpwnam("nobody");
  if (!nobody) throw std::runtime_error("there is no user nobody to run servers as");
  std::vector<std::string> files = {folder.path().string()};
  for (const std::string& name : folder.names()) files.push_back((folder / name).string());
  for (const std::string& file : files) {
    if (chown(file.c_str(), nobody->pw_uid, nobody->pw_gid) != 0) {
      throw std::system_error(errno, std::generic_category(), "chown " + file);
    }
  }
}

/// Where the server was unpacked. For root, a copy: another user may not be able to reach the build folder.
inline std::filesystem::path unpacked(const std::string& name, const culmen::test::TemporaryFolder& folder) {
  namespace fs = std::filesystem;
  const fs::path from = fs::path(CULMEN_SERVERS) / name;
  // ctest looks for this text to count the test as skipped. Where tools/get-servers.sh fails, it does not run the test.
  if (!exists(from / "program")) {
    throw std::runtime_error("no unpacked server to be had: tools/get-servers.sh has to unpack " + name + " first");
  }
  if (geteuid() != 0) return from;
  const fs::path to = folder / "server";
  const mode_t mask = umask(022);
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  umask(mask);
  return to;
}

/// Runs it in a folder that its user can reach, and without root's rights, but for `group`. The signal at the end of
/// the test is asked for once more, because a change of the user takes it back.
inline std::vector<std::string> as_owner(const culmen::test::TemporaryFolder& folder, std::vector<std::string> command,
                                         const std::string& group = {}, const std::string& signal_at_end = "KILL") {
  std::vector<std::string> words = {"/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", folder.path().string(), "setpriv"};
  if (geteuid() == 0) {
    words.insert(words.end(), {"--reuid=nobody", "--regid=nogroup"});
    words.push_back(group.empty() ? "--clear-groups" : "--groups=" + group);
  }
  words.insert(words.end(), {"--pdeathsig=" + signal_at_end, "--"});
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

}  // namespace server_test
