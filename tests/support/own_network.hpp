// A network of the process's own, in which it may listen on port 80.
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string>

namespace server_test {

/// Moves this process, which must not have other threads yet, into new user and network namespaces, with the loopback
/// interface up and nothing else. Does nothing the second time.
inline void enter_own_network() {
  static bool entered = false;
  if (entered) return;
  const auto require = [](bool good, const std::string& what) {
    // ctest looks for this text to count the test as skipped.
    if (!good) throw std::runtime_error("no network namespace to be had: " + what + ": " + std::strerror(errno));
  };
  const std::string user = "0 " + std::to_string(geteuid()) + " 1", group = "0 " + std::to_string(getegid()) + " 1";
  require(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0, "unshare");
  const auto write_file = [&require](const char* path, const std::string& text) {
    const int file = ::open(path, O_WRONLY | O_CLOEXEC);
    require(file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()), path);
    ::close(file);
  };
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", user);
  write_file("/proc/self/gid_map", group);

  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq interface {};
  std::strcpy(interface.ifr_name, "lo");
  require(ioctl(descriptor, SIOCGIFFLAGS, &interface) == 0, "reading the flags of the loopback interface");
  interface.ifr_flags |= IFF_UP;
  require(ioctl(descriptor, SIOCSIFFLAGS, &interface) == 0, "starting the loopback interface");
  ::close(descriptor);
  entered = true;
}

}  // namespace server_test
