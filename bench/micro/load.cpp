#include "load.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace culmen::bench {

namespace {

[[noreturn]] void fail(const std::string& doing) { throw std::system_error(errno, std::generic_category(), doing); }

class Socket {
 public:
  /// Every thread has a source address of its own, so that ports that are waiting out their time are not missed.
  Socket(std::uint16_t port, int thread) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (descriptor_ < 0) fail("making a socket");
    const int one = 1;
    const timeval patience{5, 0};
    ::setsockopt(descriptor_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl((127u << 24) + (1u << 8) + static_cast<unsigned>(thread));
    if (::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("binding");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connecting");
  }
  ~Socket() { ::close(descriptor_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int descriptor() const noexcept { return descriptor_; }
  void write(std::string_view text) const {
    if (::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
      fail("sending");
  }
  /// Appends what there is; false at the end.
  bool read(std::string& text) const {
    std::array<char, 4096> buffer;
    const ssize_t received = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (received < 0) fail("receiving");
    text.append(buffer.data(), static_cast<std::size_t>(received));
    return received > 0;
  }

 private:
  int descriptor_;
};

/// `ask(thread)` until the time is up, on all threads; the first exception is the caller's.
LoadResult run(const Load& load, const std::function<std::function<void()>(int thread)>& asker) {
  std::atomic<unsigned long long> answers{0};
  std::exception_ptr failed;
  std::atomic_flag has_failed;
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + std::chrono::duration<double>(load.seconds);
  std::vector<std::thread> threads;
  for (int i = 0; i < load.connections; ++i) {
    threads.emplace_back([&, i] {
      try {
        const std::function<void()> ask = asker(i + 1);
        unsigned long long mine = 0;
        for (; std::chrono::steady_clock::now() < end; ++mine) ask();
        answers += mine;
      } catch (...) {
        if (!has_failed.test_and_set()) failed = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
  LoadResult result;
  result.answers = answers;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

void check_answer(const std::string& answer, const std::string& body) {
  if (answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n" + body)) return;
  throw std::runtime_error("not the answer expected: " + answer.substr(0, 500));
}

struct FreeSsl {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

void shake_hands(SSL_CTX* context, const Load& load, int thread, const std::string& name) {
  const Socket socket(load.port, thread);
  const std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(context));
  SSL_set_fd(ssl.get(), socket.descriptor());
  SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  if (SSL_connect(ssl.get()) != 1) throw std::runtime_error("the handshake failed");
  const unsigned char* protocol = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl.get(), &protocol, &length);
  if (std::string_view(reinterpret_cast<const char*>(protocol), length) != "acme-tls/1" ||
      SSL_session_reused(ssl.get())) {
    throw std::runtime_error("not a full handshake for acme-tls/1");
  }
  // A client of TLS 1.3 is done before the server is: the end of the connection shows that the server is, too.
  SSL_shutdown(ssl.get());
  ::shutdown(socket.descriptor(), SHUT_WR);
  for (std::string rest; socket.read(rest);) continue;
}

}  // namespace

LoadResult load_http(const Load& load, const std::string& path, const std::string& body, bool keep_alive) {
  const std::string request = "GET " + path +
                              " HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n" +
                              (keep_alive ? "" : "Connection: close\r\n") + "\r\n";
  if (!keep_alive) {
    return run(load, [&](int thread) {
      return [&, thread] {
        const Socket socket(load.port, thread);
        std::string answer;
        socket.write(request);
        while (socket.read(answer)) continue;
        check_answer(answer, body);
      };
    });
  }
  return run(load, [&](int thread) {
    const auto socket = std::make_shared<Socket>(load.port, thread);
    return [&, socket] {
      std::string answer;
      socket->write(request);
      while (!answer.ends_with(body) && socket->read(answer)) continue;
      check_answer(answer, body);
    };
  });
}

LoadResult load_tls(const Load& load, const std::string& name, bool tls12) {
  const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
  const int version = tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  const std::string protocols =
      "\x0a"
      "acme-tls/1";
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  if (SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                              static_cast<unsigned>(protocols.size())) != 0) {
    throw std::runtime_error("OpenSSL does not take acme-tls/1");
  }
  return run(load, [&](int thread) { return [&, thread] { shake_hands(context.get(), load, thread, name); }; });
}

}  // namespace culmen::bench
