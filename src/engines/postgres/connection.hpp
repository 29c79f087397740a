// One connection to a PostgreSQL server. The only place that knows libpq.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/error.hpp"

struct pg_conn;
struct pg_result;

namespace culmen::postgres {

using Deadline = std::chrono::steady_clock::time_point;

/// Why something did not work. Thrown, and caught before it leaves this room.
struct SqlFailure {
  Errc code = Errc::io_failed;
  std::string text;      ///< One line.
  std::string sqlstate;  ///< Empty if it does not come from a statement.
  bool unknown = false;  ///< The statement was sent, and no answer to it was received.
};

/// The connection string, read once.
class ConnectionSettings {
 public:
  /// Throws Error (invalid_argument), without the text of the string, which can contain a password.
  explicit ConnectionSettings(const std::string& connection);

  const std::vector<std::pair<std::string, std::string>>& options() const noexcept { return options_; }
  /// Where it leads to, for errors: "PostgreSQL at db.example:5432".
  const std::string& place() const noexcept { return place_; }
  /// Replaces passwords, and makes it one line.
  std::string printable_text(std::string_view text) const;
  /// With several hosts: begins with the next one. libpq tries them in order, and one that does not answer takes all
  /// the time there is.
  void rotate_hosts();

 private:
  std::vector<std::pair<std::string, std::string>> options_;
  std::vector<std::string> secrets_;
  std::string place_;
};

/// The parameters of a statement, in PostgreSQL's binary format.
class Parameters {
 public:
  Parameters& add(std::string_view text);
  Parameters& add(std::int64_t number);
  Parameters& add(const std::vector<std::string>& texts);
  Parameters& add(const std::vector<std::optional<std::int64_t>>& numbers);
  /// bytea[]; nullptr is NULL.
  Parameters& add(const std::vector<const std::string*>& octets);

  const std::vector<std::string>& values() const noexcept { return values_; }
  const std::vector<unsigned>& types() const noexcept { return types_; }

 private:
  Parameters& append(unsigned type, std::string value);
  std::vector<std::string> values_;
  std::vector<unsigned> types_;
};

/// What a statement returned.
class Rows {
 public:
  Rows() = default;
  explicit Rows(pg_result* result);
  std::size_t size() const;
  bool is_null(std::size_t row, int column) const;
  /// Of a column of type text or bytea.
  std::string octets(std::size_t row, int column) const;
  /// Of a column of type bigint.
  std::int64_t number(std::size_t row, int column) const;
  /// Of a column of type boolean.
  bool truth(std::size_t row, int column) const;

 private:
  struct Clear {
    void operator()(pg_result* result) const noexcept;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

/// Its functions block until the deadline at most, and throw SqlFailure. One thread at a time.
class Connection {
 public:
  /// Connects.
  Connection(const ConnectionSettings& settings, Deadline deadline);

  /// Whether it can be used for another transaction. Notices that the server has closed it.
  bool is_usable() const;
  /// Runs one statement as a transaction of its own, which is sent as a whole: the server never waits for this process
  /// while it holds locks.
  Rows run(const std::string& sql, const Parameters& parameters, Deadline deadline);
  /// Runs several statements, without parameters, as one transaction.
  void run_script(const std::string& sql, Deadline deadline);

 private:
  struct Finish {
    void operator()(pg_conn* connection) const noexcept;
  };
  std::unique_ptr<pg_result, void (*)(pg_result*)> next_result(Deadline deadline);
  void roll_back(Deadline deadline) noexcept;
  [[noreturn]] void fail(Errc code, std::string_view text, bool unknown);

  const ConnectionSettings settings_;
  std::unique_ptr<pg_conn, Finish> connection_;
  bool broken_ = false;  // what the server does is not known any more
};

}  // namespace culmen::postgres
