// Answers http-01 challenges on a loopback port, one connection after the other.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace chaos {

class Http01Server {
 public:
  using Answer = std::function<std::optional<std::string>(std::string_view target)>;

  /// Port 0: any free one. `answer` is called on the server's thread.
  explicit Http01Server(Answer answer, std::uint16_t port = 0) : answer_(std::move(answer)) {
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(socket_, 64) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::system_error(errno, std::generic_category(), "listening on port " + std::to_string(port));
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Http01Server() {
    stopping_ = true;
    thread_.join();
    ::close(socket_);
  }
  Http01Server(const Http01Server&) = delete;
  Http01Server& operator=(const Http01Server&) = delete;

  std::uint16_t port() const noexcept { return port_; }

 private:
  void serve() {
    while (!stopping_) {
      pollfd ready{socket_, POLLIN, 0};
      if (::poll(&ready, 1, 50) <= 0) continue;
      const int connection = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      respond(connection);
      ::close(connection);
    }
  }
  void respond(int connection) const {
    const timeval limit{5, 0};
    ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::string request;
    char buffer[4096];
    while (request.size() < 16'384 && request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t size = ::recv(connection, buffer, sizeof buffer, 0);
      if (size <= 0) return;
      request.append(buffer, static_cast<std::size_t>(size));
    }
    if (!request.starts_with("GET ")) return;
    const std::optional<std::string> body = answer_(std::string_view(request).substr(4, request.find(' ', 4) - 4));
    const std::string response = std::string("HTTP/1.1 ") + (body ? "200 OK" : "404 Not Found") +
                                 "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
                                 std::to_string(body ? body->size() : 0) + "\r\n\r\n" + body.value_or("");
    (void)::send(connection, response.data(), response.size(), MSG_NOSIGNAL);
  }

  const Answer answer_;
  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace chaos
