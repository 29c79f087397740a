// PostgreSQL with a certificate of the culmen program, as docs/serving.md says.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

#include <libpq-fe.h>
#include <openssl/ssl.h>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/postgres_server.hpp"
#include "support/served.hpp"

using namespace cli_test;
using namespace served_test;

namespace {

constexpr const char* host = "db.example.com";
constexpr const char* key_group = "12345";

using Session = std::unique_ptr<PGconn, void (*)(PGconn*)>;

/// Checks the name and the chain.
Session connect(const std::string& connection) {
  Session session(PQconnectdb(connection.c_str()), PQfinish);
  if (PQstatus(session.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(session.get()));
  return session;
}

/// Sends a query, and returns the serial number of the certificate that the connection began with.
std::string serial_of(const Session& session) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(session.get(), "SELECT 1"), PQclear);
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) throw std::runtime_error(PQerrorMessage(session.get()));
  const auto* const ssl = static_cast<const SSL*>(PQsslStruct(session.get(), "OpenSSL"));
  if (!ssl) throw std::runtime_error("the connection is not encrypted");
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl), X509_free);
  return served_test::serial_of(certificate.get());
}

std::string serial_served(const std::string& connection) { return serial_of(connect(connection)); }

void check_postgresql(const Replacements& of_user) {
  const TestCaProcess ca;
  const Client client(ca);
  const TemporaryFolder folder;
  const server_test::PostgresServer server({}, key_group);
  fs::permissions(client.state().parent_path(), static_cast<fs::perms>(0711));
  Replacements places = of_user;
  places.insert(places.end(), {{"/var/lib/culmen", client.state().string()},
                               {"/var/lib/postgresql/15/main", server.data().string()},
                               {"/usr/local/sbin", folder / "hooks"}});
  add_server_program(folder / "bin/pg_ctl", "LD_LIBRARY_PATH=" + server.libraries().string(),
                     server.programs() / "pg_ctl");
  fs::permissions(folder.path(), static_cast<fs::perms>(0755));  // the hook runs it as PostgreSQL's user
  const std::string hook = add_program(folder / "hooks/reload-postgresql", block_of_page("PostgreSQL", 1, places));

  std::vector<std::string> words = command_of_page("PostgreSQL", 2, places);
  words.insert(words.end(), {"--http-port", ca.http_port()});
  const Outcome issued = run_with(folder / "bin", client.command(words));
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  std::ofstream(server.data() / "postgresql.conf", std::ios::app) << block_of_page("PostgreSQL", 3, places);
  const Outcome reloaded = run_with(folder / "bin", {hook});
  REQUIRE_MESSAGE(reloaded.exit_code == 0, reloaded.err);

  const std::string connection =
      server.connection() + " host=" + host +
      " hostaddr=127.0.0.1 sslmode=verify-full connect_timeout=20 sslrootcert=" + ca.root_file();
  const auto is_served = [&] {
    try {
      return !serial_served(connection).empty();
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  REQUIRE_MESSAGE(eventually(is_served), server.log());
  const Session open = connect(connection);
  const std::string begun_with = serial_of(open);
  for (int i = 0; i < 2; ++i) {
    check_renewal(client, host, client.certificate(host) / "live/key.pem", folder / "bin",
                  [&connection] { return serial_served(connection); });
  }
  CHECK(serial_of(open) == begun_with);
}

}  // namespace

TEST_CASE("PostgreSQL of another user reads the key by its group, and takes renewals, with every connection good") {
  // ctest looks for this text to count the test as skipped.
  if (geteuid() != 0) throw std::runtime_error("no other user to be had: only root can run PostgreSQL as one");
  check_postgresql({{"--key-group postgres", std::string("--key-group ") + key_group}, {"-u postgres", "-u nobody"}});
}

// PostgreSQL does not run as root. It demands that nobody else may read its own key.
TEST_CASE("PostgreSQL of the same user reads its key, and takes renewals, with every connection good" *
          doctest::skip(geteuid() == 0)) {
  check_postgresql({{" --key-mode 0640 --key-group postgres", ""}, {"runuser -u postgres -- ", ""}});
}
