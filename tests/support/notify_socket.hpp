// The socket that a service manager listens on: sd_notify(3).
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

namespace cli_test {

class NotifySocket {
 public:
  /// A path, or "@name" for an abstract socket.
  explicit NotifySocket(std::string name)
      : name_(std::move(name)), file_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name_.data(), name_.size());
    if (name_.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    if (file_ < 0 || bind(file_, reinterpret_cast<const sockaddr*>(&address), size) != 0)
      throw std::system_error(errno, std::generic_category(), "a notify socket");
  }
  ~NotifySocket() { close(file_); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  std::string variable() const { return "NOTIFY_SOCKET=" + name_; }
  /// All datagrams so far, in their order.
  const std::vector<std::string>& received() {
    std::array<char, 4096> buffer{};
    for (;;) {
      const auto size = recv(file_, buffer.data(), buffer.size(), 0);
      if (size < 0) return received_;
      received_.emplace_back(buffer.data(), static_cast<std::size_t>(size));
    }
  }
  /// How many begin with that.
  int count(const std::string& text) {
    int number = 0;
    for (const std::string& one : received()) number += one.starts_with(text);
    return number;
  }

 private:
  std::string name_;
  int file_;
  std::vector<std::string> received_;
};

}  // namespace cli_test
