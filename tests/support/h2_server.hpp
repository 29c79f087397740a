// An HTTP/2 server for tests, on libnghttp2: it answers as a function says, and can refuse, reset, hold and cut off.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include "support/test_certificates.hpp"

namespace culmen::test {

struct H2Request {
  std::string method;
  std::string path;
  std::string content_type;
  std::string accept;
  std::string body;
  int connection = 0;  // 1 for the first the server accepted
  int number = 0;      // 1 for the first request of all connections
};

enum class H2Error : std::uint32_t { internal_error = 2, refused_stream = 7, cancel = 8 };

struct H2Answer {
  enum class How {
    respond,
    cut_off,  // half of the body, then the end of the TCP connection
    reset,    // RST_STREAM in place of a response
    go_away,  // GOAWAY: the requests before this one are the last that are answered
    hold,     // nothing, until the client gives up
  };
  static H2Answer reset(H2Error code) {
    H2Answer answer;
    answer.how = How::reset;
    answer.code = code;
    return answer;
  }
  static H2Answer other(How how) {
    H2Answer answer;
    answer.how = how;
    return answer;
  }

  How how = How::respond;
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  H2Error code = H2Error::refused_stream;
  std::chrono::milliseconds delay{0};  // before anything of it is sent
};

struct H2Options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;    // 0: any free one
  unsigned max_streams = 0;  // SETTINGS_MAX_CONCURRENT_STREAMS; 0: no such setting
};

/// TLS; a thread per connection, which also calls the handler.
class H2Server {
 public:
  using Handler = std::function<H2Answer(const H2Request&)>;
  H2Server(const Identity& identity, Handler handler, const H2Options& options = {});
  ~H2Server();
  H2Server(const H2Server&) = delete;
  H2Server& operator=(const H2Server&) = delete;

  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  /// How many requests the client reset.
  int withdrawn() const { return withdrawn_; }
  /// The largest number of requests at one time, on one connection.
  int most_at_once() const { return most_at_once_; }

 private:
  class Connection;
  void accept_all();

  Handler handler_;
  H2Options options_;
  std::unique_ptr<SSL_CTX, FreedBy<&SSL_CTX_free>> context_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0, requests_ = 0, withdrawn_ = 0, most_at_once_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;
  std::list<int> open_;  // descriptors
  std::list<std::thread> threads_;
};

}  // namespace culmen::test
