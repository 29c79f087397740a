// A web server as small as can be: GET of files under one folder.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

class FileServer {
 public:
  FileServer(std::uint16_t port, std::filesystem::path root)
      : root_(std::move(root)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 16) != 0) {
      throw std::runtime_error("cannot serve on port " + std::to_string(port));
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~FileServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

 private:
  void serve() const {
    for (;;) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      answer(connection);
      close(connection);
    }
  }

  void answer(int connection) const {
    std::string request;
    char buffer[1024];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t size = recv(connection, buffer, sizeof buffer, 0);
      if (size <= 0) return;
      request.append(buffer, static_cast<std::size_t>(size));
    }
    const std::string path = request.substr(5, request.find(' ', 5) - 5);
    std::ifstream file(root_ / path, std::ios::binary);
    std::ostringstream body;
    if (file) body << file.rdbuf();
    const std::string text = body.str();
    const std::string response = std::string("HTTP/1.1 ") + (file ? "200 OK" : "404 Not Found") +
                                 "\r\nConnection: close\r\nContent-Length: " + std::to_string(text.size()) +
                                 "\r\n\r\n" + text;
    send(connection, response.data(), response.size(), MSG_NOSIGNAL);
  }

  std::filesystem::path root_;
  int listener_;
  std::thread thread_;
};

// Takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { close(listener_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;

  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_) + "/directory"; }
  std::uint16_t port() const { return port_; }
  bool has_visitor() const {
    pollfd waiting{listener_, POLLIN, 0};
    return poll(&waiting, 1, 0) == 1;
  }

 private:
  int listener_;
  std::uint16_t port_ = 0;
};
