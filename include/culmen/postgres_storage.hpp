// PostgreSQL as a Storage. Link culmen::storage-postgres. docs/storage.md has what an operator should know.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "culmen/flow.hpp"
#include "culmen/storage.hpp"

namespace culmen {

/// Where the tables are, and how to get there. A plain value.
struct PostgresOptions {
  explicit PostgresOptions(std::string connection_) : connection(std::move(connection_)) {}
  /// As libpq takes it: "host=db.example user=acme dbname=acme" or "postgresql://acme@db.example/acme". libpq takes
  /// what is missing from its environment variables and files, passwords included. It never appears in errors.
  std::string connection;
  /// Contains the tables, whatever search_path says.
  std::string schema = "culmen";
  /// At most that many connections are open, 1 to 64. Each is opened when it is first needed.
  unsigned connections = 4;
  /// How often changed() looks, at least 100 ms. Above one second the storage does not have prompt_changes.
  std::chrono::milliseconds poll_interval{1000};
};

/// A storage in a PostgreSQL database, version 13 or newer. Has many_in_one and prompt_changes. Does not connect:
/// errors of the connection are those of the functions. Throws Error (invalid_argument).
///
/// The tables must exist; see create_postgres_schema(). PgBouncer is supported in transaction mode.
///
/// Each step takes at most two seconds, connecting included, except for the look-up of a host name, which is the
/// system's. The server ends a statement shortly before that. Temporary errors are connection_failed (the server cannot
/// be reached, is starting or stopping, is read-only, or refused the login) and timeout (also: it waited for a lock, or
/// all connections were in use). All others of the server are io_failed, with its text and SQLSTATE.
///
/// If the connection breaks or the answer is late after a change was sent, the change may have been made. The error
/// says so; see Storage. The next call connects again.
std::shared_ptr<Storage> postgres_storage(PostgresOptions options);

/// Creates the schema and its tables, or brings those of an older version up to date; does nothing if they are there.
/// Creates what is missing of them: tokens of leases begin again where culmen_lease was lost, so stop all programs
/// first. Nothing else creates them. Needs a user who may create what is missing, and takes at most thirty seconds.
/// Tables of a newer version are an error (io_failed).
Flow<Result<void>> create_postgres_schema(PostgresOptions options);

}  // namespace culmen
