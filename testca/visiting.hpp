// Going to where a client says it is: what the validators that connect have in common.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "culmen/test_ca.hpp"
#include "testca/acme_server.hpp"

namespace culmen::testca {

using Deadline = std::chrono::steady_clock::time_point;

/// What went wrong, as the type and detail of a problem document.
Problem failure(std::string_view type, const std::string& what);

/// A thread on which validations run side by side.
class Visits {
 public:
  explicit Visits(const TestCaOptions& options);
  /// Abandons those that run.
  ~Visits();

  using Look = std::function<boost::asio::awaitable<std::optional<Problem>>(ValidationJob job, Deadline deadline)>;
  /// Returns at once; `done` is called from the thread, with what `look` says or that it took too long.
  void begin(const ValidationJob& job, ValidationDone done, Look look);

  /// Connects to one of the host's addresses, IPv6 first; `where` says which it is.
  boost::asio::awaitable<std::optional<Problem>> connect(const std::string& host, std::uint16_t port, Deadline deadline,
                                                         boost::beast::tcp_stream& stream, std::string& where);

  const TestCaOptions& options() const noexcept { return options_; }
  boost::asio::io_context& context() noexcept { return context_; }

 private:
  boost::asio::awaitable<void> run(ValidationJob job, ValidationDone done, Look look);
  boost::asio::awaitable<std::optional<Problem>> find(const std::string& host, std::uint16_t port,
                                                      std::vector<boost::asio::ip::tcp::endpoint>& endpoints);

  const TestCaOptions options_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace culmen::testca
