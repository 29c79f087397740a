// A PostgreSQL server of the test's own, on the loopback interface, as tools/get-servers.sh unpacked it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"

namespace server_test {

/// Runs as the caller, or as nobody if the caller is root: PostgreSQL refuses root. Everything it writes is in a
/// temporary folder. It ends with this object, and when the test ends in any way. Throws if it does not start.
class PostgresServer {
 public:
  /// `settings` are "name=value" of postgresql.conf. Without fsync, unless they say otherwise. If the caller is root,
  /// its user is in `group`, too: a number.
  explicit PostgresServer(std::vector<std::string> settings = {}, std::string group = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  static const std::string& password();
  /// A connection string, for another port if something stands between.
  std::string connection(std::uint16_t port = 0) const;

  void start();
  /// At once, without telling anybody, as when the machine crashes.
  void kill();
  /// Stops all its processes, and lets them go on.
  void freeze();
  void thaw();
  /// What it has logged so far.
  std::string log() const;
  /// With its postgresql.conf.
  std::filesystem::path data() const { return folder_ / "data"; }
  /// Where postgres and pg_ctl are, and the libraries that they need.
  const std::filesystem::path& programs() const noexcept { return programs_; }
  const std::filesystem::path& libraries() const noexcept { return libraries_; }

 private:
  void signal_all(int number) const;

  culmen::test::TemporaryFolder folder_;
  std::filesystem::path programs_;
  std::filesystem::path libraries_;
  std::vector<std::string> settings_;
  std::string group_;
  std::uint16_t port_;
  std::unique_ptr<cli_test::Process> process_;
};

/// PgBouncer in transaction mode, in front of a server, with two connections to it. Runs as the same user.
class PgBouncer {
 public:
  explicit PgBouncer(const PostgresServer& server);
  std::uint16_t port() const noexcept { return port_; }

 private:
  culmen::test::TemporaryFolder folder_;
  std::uint16_t port_;
  std::unique_ptr<cli_test::Process> process_;
};

}  // namespace server_test
