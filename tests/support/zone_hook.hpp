// A DNS hook for tests: a shell script whose zone is a folder, as DnsServer::zone reads it.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace culmen::test {

inline std::string write_script(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << "#!/bin/sh\n" << text;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path.string();
}

/// Each run is noted in <folder>/log.
inline std::string make_zone_hook(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "zone");
  const std::string zone = (folder / "zone").string();
  return write_script(folder / "hook",
                      "set -e\n"
                      "file='" +
                          zone +
                          "'/\"$2\"\n"
                          "echo \"$1 $2 $3\" >> '" +
                          (folder / "log").string() +
                          "'\n"
                          "test \"$1\" = \"$CULMEN_ACTION\"\n"
                          "test \"$2\" = \"$CULMEN_RECORD_NAME\"\n"
                          "test \"$3\" = \"$CULMEN_RECORD_VALUE\"\n"
                          "case \"$1\" in\n"
                          "present) echo \"$3\" >> \"$file\" ;;\n"
                          "cleanup) grep -vxF -- \"$3\" \"$file\" > \"$file.new\" || true\n"
                          "         mv \"$file.new\" \"$file\"\n"
                          "         test -s \"$file\" || rm \"$file\" ;;\n"
                          "*) exit 9 ;;\n"
                          "esac\n");
}

}  // namespace culmen::test
