// A few connections for many threads.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engines/postgres/connection.hpp"

namespace culmen::postgres {

/// Thread-safe. Its functions block until the deadline at most, and throw SqlFailure.
class ConnectionPool {
 public:
  /// `prepare` is called with each new connection before it is used.
  ConnectionPool(ConnectionSettings settings, unsigned connections, std::function<void(Connection&, Deadline)> prepare);

  const std::string& place() const noexcept { return place_; }
  Rows run(const std::string& sql, const Parameters& parameters, Deadline deadline);
  /// A connection of the caller's own, without `prepare`.
  std::unique_ptr<Connection> connect_unprepared(Deadline deadline);

 private:
  class Borrowed;
  std::unique_ptr<Connection> take(Deadline deadline);
  std::unique_ptr<Connection> connect(Deadline deadline);
  void give_back(std::unique_ptr<Connection> connection) noexcept;

  const std::string place_;
  const unsigned most_;
  const std::function<void(Connection&, Deadline)> prepare_;
  std::mutex mutex_;
  std::condition_variable freed_;
  ConnectionSettings settings_;
  unsigned borrowed_ = 0;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace culmen::postgres
