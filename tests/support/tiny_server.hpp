// A server for tests that does what the test says, byte by byte: a thread per connection, plain or TLS.
#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/test_certificates.hpp"

namespace culmen::test {

struct Request {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  int connection = 0;  // 1 for the first the server accepted
};

class Connection {
 public:
  Connection(int descriptor, int number) : descriptor_(descriptor), number_(number) {}
  ~Connection() { ::close(descriptor_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const { return descriptor_; }
  int number() const { return number_; }
  bool accept_tls(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), descriptor_);
    return SSL_accept(ssl_.get()) == 1;
  }

  /// Whether the TLS handshake chose HTTP/2.
  bool speaks_http2() const {
    const unsigned char* protocol = nullptr;
    unsigned length = 0;
    if (ssl_) SSL_get0_alpn_selected(ssl_.get(), &protocol, &length);
    return std::string_view(reinterpret_cast<const char*>(protocol), length) == "h2";
  }
  /// The common name in the client's certificate; empty: none.
  std::string client_name() const {
    const std::unique_ptr<X509, FreedBy<&X509_free>> certificate(ssl_ ? SSL_get1_peer_certificate(ssl_.get())
                                                                      : nullptr);
    char name[64] = "";
    if (certificate) {
      X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
    }
    return name;
  }

  bool write(std::string_view text) {
    while (!text.empty()) {
      const auto sent = ssl_ ? SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()))
                             : ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  std::optional<std::string> read_bytes(std::size_t count) {
    while (input_.size() < count) {
      if (!read_more()) return {};
    }
    std::string bytes = input_.substr(0, count);
    input_.erase(0, count);
    return bytes;
  }

  std::optional<Request> read_request() {
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return {};
    }
    Request request;
    request.connection = number_;
    std::string head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    const std::size_t first = head.find(' ');
    request.method = head.substr(0, first);
    request.target = head.substr(first + 1, head.find(' ', first + 1) - first - 1);
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t stop = head.find("\r\n", at);
      const std::size_t colon = head.find(':', at);
      std::string name = head.substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      request.headers[name] = head.substr(colon + 2, stop - colon - 2);
      at = stop + 2;
    }
    const auto length = request.headers.find("content-length");
    const std::size_t wanted = length == request.headers.end() ? 0 : std::stoul(length->second);
    while (input_.size() < wanted) {
      if (!read_more()) return {};
    }
    request.body = input_.substr(0, wanted);
    input_.erase(0, wanted);
    return request;
  }

 private:
  bool read_more() {
    char piece[4096];
    const auto got = ssl_ ? SSL_read(ssl_.get(), piece, sizeof piece) : ::recv(descriptor_, piece, sizeof piece, 0);
    if (got <= 0) return false;
    input_.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  int descriptor_;
  int number_;
  std::unique_ptr<SSL, FreedBy<&SSL_free>> ssl_;
  std::string input_;
};

inline std::string response(int status, const std::string& body, const std::string& headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) + " Text\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + body;
}

class Server {
 public:
  using Serve = std::function<void(Connection&)>;

  /// Plain on 127.0.0.1; with an identity: TLS, which `tune` may change.
  explicit Server(Serve serve, const Identity* identity = nullptr, const std::function<void(SSL_CTX*)>& tune = {})
      : serve_(std::move(serve)) {
    if (identity) {
      context_.reset(SSL_CTX_new(TLS_server_method()));
      require(SSL_CTX_use_certificate(context_.get(), identity->certificate.get()) == 1);
      require(SSL_CTX_use_PrivateKey(context_.get(), identity->key.get()) == 1);
      if (tune) tune(context_.get());
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    listen_on(AF_INET, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  /// On a unix socket.
  Server(Serve serve, const std::string& path) : serve_(std::move(serve)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    listen_on(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  ~Server() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock(mutex_);
      for (const auto& connection : open_) ::shutdown(connection->descriptor(), SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const { return port_; }
  int connections() const { return connections_; }
  std::string url(const std::string& path = "/") const {
    return (context_ ? "https://localhost:" : "http://127.0.0.1:") + std::to_string(port_) + path;
  }

 private:
  void listen_on(int family, const sockaddr* address, socklen_t size) {
    listener_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(listener_ >= 0 && ::bind(listener_, address, size) == 0 && ::listen(listener_, 512) == 0);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  void accept_all() {
    // OpenSSL writes to sockets by write(). Only the server's own threads are spared: in a client SIGPIPE is a defect.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    while (!stopping_) {
      const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (descriptor < 0) continue;
      const auto connection = std::make_shared<Connection>(descriptor, ++connections_);
      const std::lock_guard lock(mutex_);
      open_.push_back(connection);
      threads_.emplace_back([this, connection] {
        if (!context_ || connection->accept_tls(context_.get())) serve_(*connection);
        const std::lock_guard inner(mutex_);
        ::shutdown(connection->descriptor(), SHUT_RDWR);
        open_.remove(connection);
      });
    }
  }

  Serve serve_;
  std::unique_ptr<SSL_CTX, FreedBy<&SSL_CTX_free>> context_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Connection>> open_;
  std::list<std::thread> threads_;
};

/// Serves every request of a connection by what `answer` returns; an empty text ends the connection.
inline Server::Serve answering(std::function<std::string(const Request&)> answer) {
  return [answer = std::move(answer)](Connection& connection) {
    while (std::optional<Request> request = connection.read_request()) {
      const std::string text = answer(*request);
      if (text.empty() || !connection.write(text)) return;
    }
  };
}

/// Passes bytes both ways until either side ends.
inline void relay(int a, int b) {
  pollfd both[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
  while (::poll(both, 2, 10000) > 0) {
    for (int i = 0; i < 2; ++i) {
      if (both[i].revents == 0) continue;
      char piece[4096];
      const ssize_t got = ::recv(both[i].fd, piece, sizeof piece, 0);
      if (got <= 0 || ::send(both[1 - i].fd, piece, static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) return;
    }
  }
}

inline int connect_to(int port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  require(::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return descriptor;
}

}  // namespace culmen::test
