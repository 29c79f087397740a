// A storage in PostgreSQL, and what its tests do with it.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <libpq-fe.h>

#include "culmen/postgres_storage.hpp"
#include "support/postgres_server.hpp"
#include "support/run_flow.hpp"
#include "support/text.hpp"

namespace server_test {

/// Two seconds, and what a loaded machine adds.
inline constexpr auto longest_step = std::chrono::seconds(2 + 8);

inline std::shared_ptr<culmen::Storage> open(const PostgresServer& server, std::uint16_t port = 0) {
  return culmen::postgres_storage(culmen::PostgresOptions(server.connection(port)));
}

/// Once more while the error is temporary: on a machine with much else to do, two seconds can be too few for a step.
template <class Make>
auto run_patiently(Make make) {
  auto result = culmen::test::run_flow(make());
  for (int i = 0; i < 30 && !result && culmen::is_worth_retrying(result.error()); ++i)
    result = culmen::test::run_flow(make());
  return result;
}

inline std::shared_ptr<culmen::Storage> open_with_schema(const PostgresServer& server) {
  const culmen::Result<void> created =
      run_patiently([&] { return culmen::create_postgres_schema(culmen::PostgresOptions(server.connection())); });
  INFO((created ? "" : created.error().what()));
  REQUIRE(created);
  return open(server);
}

/// Statements by hand, as somebody with psql would run them.
class Psql {
 public:
  explicit Psql(const PostgresServer& server) : connection_(PQconnectdb(server.connection().c_str())) {}
  ~Psql() { PQfinish(connection_); }
  Psql(const Psql&) = delete;
  Psql& operator=(const Psql&) = delete;
  /// The first field of the first row, if there is one.
  std::string run(const std::string& sql) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection_, sql.c_str()), PQclear);
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) throw std::runtime_error(PQerrorMessage(connection_));
    return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
  }

 private:
  PGconn* connection_;
};

inline void check_contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  CHECK(contains(text, part));
}

inline culmen::Write fenced(std::string key, std::string value, const culmen::Lease& lease) {
  culmen::Write write(std::move(key), std::move(value));
  write.fence = lease;
  return write;
}

inline std::optional<std::string> value_of(culmen::Storage& storage, const std::string& key) {
  const culmen::Result<std::optional<culmen::StoredValue>> loaded =
      run_patiently([&] { return culmen::load_one(storage, key); });
  INFO((loaded ? "" : loaded.error().what()));
  REQUIRE(loaded);
  return *loaded ? std::optional((*loaded)->value) : std::nullopt;
}

inline culmen::Revision put(culmen::Storage& storage, const std::string& key, const std::string& value) {
  const culmen::Result<culmen::Revision> written =
      run_patiently([&] { return culmen::write_one(storage, culmen::Write(key, value)); });
  INFO((written ? "" : written.error().what()));
  REQUIRE(written);
  return *written;
}

inline culmen::Lease acquired(culmen::Storage& storage, const std::string& name,
                              std::chrono::seconds ttl = std::chrono::seconds(60)) {
  const culmen::Result<std::optional<culmen::Lease>> lease = culmen::test::run_flow(storage.acquire(name, "test", ttl));
  INFO((lease ? "" : lease.error().what()));
  REQUIRE(lease);
  REQUIRE(*lease);
  return **lease;
}

}  // namespace server_test
