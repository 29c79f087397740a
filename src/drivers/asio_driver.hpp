// Runs executions on an Asio executor.
#pragma once

#include <exception>
#include <memory>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "culmen/driver.hpp"
#include "culmen/options.hpp"

namespace culmen::drivers {

/// Runs on a strand of the executor. Functions that may block run on a few threads, which are started when needed. May
/// outlive the executor's context: that drops what runs.
class AsioDriver {
 public:
  /// Throws as Transport does.
  AsioDriver(boost::asio::any_io_executor executor, TransportOptions options, LogCallback log);
  ~AsioDriver();
  AsioDriver(const AsioDriver&) = delete;
  AsioDriver& operator=(const AsioDriver&) = delete;

  /// Runs it to its end; on any executor, any number of them at the same time. Asio cancellation of the awaiting
  /// coroutine cancels the execution, which is then driven on until it has cleaned up. The driver must outlive it.
  boost::asio::awaitable<void> drive(ExecutionBase& execution);
  /// The same for a handler, which must own the execution. It is called through its associated executor, or on the
  /// driver's strand; its cancellation slot cancels the execution.
  void start(ExecutionBase& execution, boost::asio::any_completion_handler<void(std::exception_ptr)> handler);

 private:
  class Loop;
  class Run;
  std::shared_ptr<Loop> loop_;
};

}  // namespace culmen::drivers
