// A TCP proxy that stops passing bytes on when the test says so, and keeps the connections open.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace culmen::test {

class StallingProxy {
 public:
  /// In front of that port of 127.0.0.1.
  explicit StallingProxy(std::uint16_t server) : server_(server) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    const auto where = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, where, size) != 0 || listen(listener_, 16) != 0 || getsockname(listener_, where, &size) != 0)
      throw std::system_error(errno, std::generic_category(), "listening");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { pass_on(); });
  }
  ~StallingProxy() {
    stop_ = true;
    thread_.join();
    cut();
    close(listener_);
  }
  StallingProxy(const StallingProxy&) = delete;
  StallingProxy& operator=(const StallingProxy&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  /// Whether bytes to the server, and those from it, are left where they are.
  void hold(bool requests, bool answers) {
    hold_requests_ = requests;
    hold_answers_ = answers;
    const unsigned before = turns_;
    while (turns_ < before + 2) std::this_thread::yield();
  }
  /// Closes all connections as soon as the server answers, in place of passing the answer on.
  std::atomic<bool> cut_at_answer = false;
  /// How many times that has happened.
  std::atomic<int> cuts = 0;

 private:
  std::atomic<bool> hold_requests_ = false;
  std::atomic<bool> hold_answers_ = false;
  std::atomic<unsigned> turns_ = 0;

  struct Pair {
    int client;
    int server;
  };

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  static int new_socket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

  void pass_on() {
    for (; !stop_; ++turns_) {
      std::vector<pollfd> waiting = {{listener_, POLLIN, 0}};
      for (const Pair& pair : pairs_) {
        waiting.push_back({pair.client, static_cast<short>(hold_requests_ ? 0 : POLLIN), 0});
        waiting.push_back({pair.server, static_cast<short>(hold_answers_ ? 0 : POLLIN), 0});
      }
      if (poll(waiting.data(), waiting.size(), 5) <= 0) continue;
      std::vector<Pair> open;
      bool cutting = false;
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        const bool from_server = (waiting[2 * i + 2].revents & POLLIN) != 0;
        cutting = cutting || (from_server && cut_at_answer);
      }
      if (cutting) {
        ++cuts;
        cut();
        continue;
      }
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        const Pair pair = pairs_[i];
        const bool good = copy(waiting[2 * i + 1].revents, pair.client, pair.server) &&
                          copy(waiting[2 * i + 2].revents, pair.server, pair.client);
        if (good) {
          open.push_back(pair);
        } else {
          close(pair.client);
          close(pair.server);
        }
      }
      pairs_ = std::move(open);
      if ((waiting[0].revents & POLLIN) != 0) accept_one();
    }
  }
  void accept_one() {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = new_socket();
    const sockaddr_in address = loopback(server_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      pairs_.push_back({client, server});
    } else {
      close(client);
      close(server);
    }
  }
  static bool copy(short events, int from, int to) {
    if (events == 0) return true;
    std::array<char, 1 << 16> bytes;
    const ssize_t got = recv(from, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t more = send(to, bytes.data() + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
      if (more <= 0) return false;
      sent += more;
    }
    return true;
  }
  void cut() {
    for (const Pair& pair : pairs_) {
      close(pair.client);
      close(pair.server);
    }
    pairs_.clear();
  }

  const int listener_ = new_socket();
  const std::uint16_t server_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<Pair> pairs_;  // of the thread
  std::thread thread_;
};

}  // namespace culmen::test
