#include "port_holder.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

/// The sockets that listen on the port: proc(5), /proc/net/tcp.
void add_listening_sockets(const char* table, std::uint16_t port, std::set<std::string>& found) {
  constexpr std::string_view listening = "0A";
  std::ifstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, local, remote, state, queues, timer, retransmits, user, timeout, inode;
    words >> number >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >> inode;
    const std::size_t colon = local.rfind(':');
    unsigned value = 0;
    if (colon == std::string::npos || state != listening) continue;
    std::from_chars(local.data() + colon + 1, local.data() + local.size(), value, 16);
    if (value == port) found.insert("socket:[" + inode + "]");
  }
}

bool has_one_of(const fs::path& process, const std::set<std::string>& sockets) {
  std::error_code failed;
  for (fs::directory_iterator file(process / "fd", failed), end; !failed && file != end; file.increment(failed)) {
    std::error_code closed;
    if (sockets.contains(fs::read_symlink(file->path(), closed).string())) return true;
  }
  return false;
}

}  // namespace

std::optional<PortHolder> holder_of_port(std::uint16_t port) {
  std::set<std::string> sockets;
  add_listening_sockets("/proc/self/net/tcp", port, sockets);
  add_listening_sockets("/proc/self/net/tcp6", port, sockets);
  if (sockets.empty()) return std::nullopt;
  std::error_code failed;
  for (fs::directory_iterator process("/proc", failed), end; !failed && process != end; process.increment(failed)) {
    const std::string name = process->path().filename().string();
    PortHolder holder;
    const auto [last, bad] = std::from_chars(name.data(), name.data() + name.size(), holder.process);
    if (bad != std::errc() || last != name.data() + name.size() || !has_one_of(process->path(), sockets)) continue;
    std::ifstream words(process->path() / "comm");
    std::getline(words, holder.program);
    return holder;
  }
  return std::nullopt;
}

}  // namespace culmen::cli
