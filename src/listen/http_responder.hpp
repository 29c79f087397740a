// A small HTTP server that answers http-01 and nothing else (RFC 8555 §8.3).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

namespace culmen::listen {

class Responder;

/// Tokens and what to answer for them. Safe to use from any thread.
class Http01Answers {
 public:
  void add(std::string_view token, std::string_view key_authorization);
  void remove(std::string_view token);
  std::optional<std::string> find(std::string_view token) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> answers_;
};

/// Every function may be called from any thread.
class HttpResponder {
 public:
  HttpResponder();
  ~HttpResponder();
  HttpResponder(const HttpResponder&) = delete;
  HttpResponder& operator=(const HttpResponder&) = delete;

  Http01Answers& answers() noexcept { return *answers_; }

  /// Binds and serves on that executor. Throws Error (io_failed, invalid_argument); does so too when it is running.
  void start(const boost::asio::any_io_executor& executor, std::uint16_t port, const std::string& address);
  /// Binds and serves on a thread of its own.
  void start_thread(std::uint16_t port, const std::string& address);
  /// The port bound; 0 when it is not running.
  std::uint16_t port() const noexcept;
  /// The port is free when it returns.
  void stop() noexcept;

 private:
  std::shared_ptr<Http01Answers> answers_;
  std::unique_ptr<Responder> responder_;
};

}  // namespace culmen::listen
