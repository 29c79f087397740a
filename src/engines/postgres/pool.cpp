#include "engines/postgres/pool.hpp"

#include <utility>

namespace culmen::postgres {

/// Occupies a place in the pool, with or without a connection.
class ConnectionPool::Borrowed {
 public:
  Borrowed(ConnectionPool& pool, Deadline deadline) : pool_(pool), connection_(pool.take(deadline)) {}
  ~Borrowed() { pool_.give_back(std::move(connection_)); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  Connection& connected(Deadline deadline) {
    if (!connection_ || !connection_->is_usable()) {
      connection_.reset();
      connection_ = pool_.connect(deadline);
    }
    return *connection_;
  }

 private:
  ConnectionPool& pool_;
  std::unique_ptr<Connection> connection_;
};

ConnectionPool::ConnectionPool(ConnectionSettings settings, unsigned connections,
                               std::function<void(Connection&, Deadline)> prepare)
    : place_(settings.place()), most_(connections), prepare_(std::move(prepare)), settings_(std::move(settings)) {}

Rows ConnectionPool::run(const std::string& sql, const Parameters& parameters, Deadline deadline) {
  Borrowed borrowed(*this, deadline);
  return borrowed.connected(deadline).run(sql, parameters, deadline);
}

/// nullptr: there is room for a new one.
std::unique_ptr<Connection> ConnectionPool::take(Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (!freed_.wait_until(lock, deadline, [this] { return borrowed_ < most_; })) {
    throw SqlFailure{Errc::timeout, "all " + std::to_string(most_) + " connections are in use; nothing was sent", "",
                     false};
  }
  ++borrowed_;
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

std::unique_ptr<Connection> ConnectionPool::connect_unprepared(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const ConnectionSettings settings = settings_;
  lock.unlock();
  try {
    return std::make_unique<Connection>(settings, deadline);
  } catch (const SqlFailure& failure) {
    if (failure.code == Errc::timeout) {
      lock.lock();
      settings_.rotate_hosts();
    }
    throw;
  }
}

std::unique_ptr<Connection> ConnectionPool::connect(Deadline deadline) {
  std::unique_ptr<Connection> connection = connect_unprepared(deadline);
  try {
    prepare_(*connection, deadline);
  } catch (SqlFailure& failure) {
    failure.unknown = false;  // the caller's statement was not sent
    throw;
  }
  return connection;
}

void ConnectionPool::give_back(std::unique_ptr<Connection> connection) noexcept {
  if (connection && !connection->is_usable()) connection.reset();  // without the lock
  const std::lock_guard lock(mutex_);
  --borrowed_;
  if (connection) idle_.push_back(std::move(connection));
  freed_.notify_one();
}

}  // namespace culmen::postgres
