// Storage in PostgreSQL, against a server of the test's own.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culmen/postgres_storage.hpp"
#include "culmen/storage_conformance.hpp"
#include "engines/postgres/database.hpp"
#include "support/postgres_storage.hpp"
#include "support/run_flow.hpp"
#include "support/text.hpp"

using namespace culmen;
using namespace server_test;
using namespace std::chrono_literals;
using culmen::test::run_flow;
using Clock = std::chrono::steady_clock;

namespace {

void check_conformance(StorageUnderTest subject) {
  const std::vector<ConformanceResult> results = run_flow(check_storage(std::move(subject)));
  CHECK(results.size() > 10);
  for (const ConformanceResult& result : results) {
    INFO(result.name << ": " << result.detail);
    CHECK(result.passed);
  }
}

}  // namespace

TEST_CASE("PostgreSQL: the conformance suite through PgBouncer in transaction mode") {
  PostgresServer server;
  const server_test::PgBouncer bouncer(server);
  REQUIRE(run_flow(create_postgres_schema(PostgresOptions(server.connection(bouncer.port())))));
  check_conformance(StorageUnderTest([&] { return open(server, bouncer.port()); }));
}

TEST_CASE("PostgreSQL: the conformance suite") {
  PostgresServer server;
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  StorageUnderTest subject([&server] { return open(server); });
  subject.restart = [&server] {
    server.kill();
    server.start();
  };
  subject.outage = [&server](bool begins) { begins ? server.kill() : server.start(); };
  check_conformance(subject);
}

TEST_CASE("PostgreSQL: whatever the server's defaults are, writes look again after a wait") {
  // With these defaults, a statement that waits for a lock fails when the lock is released, and a commit is not waited
  // for. The path leads to a function that hides one of the system's.
  PostgresServer server({"default_transaction_isolation=serializable", "synchronous_commit=off",
                         "default_transaction_read_only=on", "statement_timeout=50"});
  Psql psql(server);
  psql.run("SET default_transaction_read_only = off; SET statement_timeout = 0");
  psql.run(
      "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT "
      "'infinity'::timestamptz $$; ALTER ROLE culmen SET search_path = public, pg_catalog");
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  const Lease lease = acquired(*storage, "a");
  const Revision revision = put(*storage, "a/value", "0");
  CHECK(psql.run("SELECT expires_at < 'infinity' FROM culmen.culmen_lease") == "t");

  // Side by side, each with what it has just read: one of them wins each round.
  constexpr int writers = 4, rounds = 25;
  std::atomic<int> accepted = 0, unknown = 0, others = 0;
  std::vector<std::future<void>> running;
  for (int writer = 0; writer < writers; ++writer) {
    running.push_back(std::async(std::launch::async, [&] {
      for (int round = 0; round < rounds; ++round) {
        const auto loaded = run_flow(load_one(*storage, "a/value"));
        if (!loaded || !*loaded) {
          others += loaded || loaded.error().code() != Errc::timeout;
          continue;
        }
        Write write = fenced("a/value", std::to_string(std::stoi((*loaded)->value) + 1), lease);
        write.expected = (*loaded)->revision;
        const auto written = run_flow(write_one(*storage, write));
        if (written) ++accepted;
        if (written || written.error().code() == Errc::conflict) continue;
        written.error().code() == Errc::timeout ? ++unknown : ++others;
        MESSAGE(written.error().what());
      }
    }));
  }
  for (auto& one : running) one.get();
  CHECK(others == 0);
  const int counted = std::stoi(value_of(*storage, "a/value").value());
  CHECK(accepted > 0);
  CHECK(counted >= accepted);
  CHECK(counted <= accepted + unknown);

  // Several keys that overlap, in different orders: no deadlock, and no half.
  running.clear();
  for (int writer = 0; writer < writers; ++writer) {
    running.push_back(std::async(std::launch::async, [&, writer] {
      for (int round = 0; round < rounds; ++round) {
        const std::string text = std::to_string(writer) + "/" + std::to_string(round);
        std::vector<Write> writes = {Write("m/1", text), Write("m/2", text), Write("m/3", text)};
        std::rotate(writes.begin(), writes.begin() + writer % 3, writes.end());
        if (round % 5 == 4) writes[1].value.reset();
        const auto written = run_flow(storage->write(writes));
        if (!written) {
          // A deadlock would be noticed by the server, and said.
          others += written.error().code() != Errc::timeout || contains(written.error().what(), "deadlock");
          MESSAGE(written.error().what());
        }
      }
    }));
  }
  for (auto& one : running) one.get();
  CHECK(others == 0);
}

TEST_CASE("PostgreSQL: a write waits for a take-over in progress, and is refused when it is done") {
  PostgresServer server;
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  const Lease lease = acquired(*storage, "a");
  Psql taker(server);
  const std::string take_over = "UPDATE culmen.culmen_lease SET token = token + 1 WHERE name = 'a'";
  const auto write_during = [&](const std::string& value, const std::string& end) {
    taker.run("BEGIN");
    taker.run(take_over);
    auto writing =
        std::async(std::launch::async, [&] { return run_flow(write_one(*storage, fenced("a/value", value, lease))); });
    Psql watcher(server);
    CHECK(cli_test::eventually(
        [&] { return watcher.run("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1"; }));
    taker.run(end);
    return writing.get();
  };

  CHECK(write_during("rolled back", "ROLLBACK"));
  CHECK(value_of(*storage, "a/value") == "rolled back");
  const Result<Revision> late = write_during("late", "COMMIT");
  REQUIRE(!late);
  CHECK(late.error().code() == Errc::fenced);
  CHECK(value_of(*storage, "a/value") == "rolled back");

  // A take-over that takes longer than a write may wait: an error that says so, and nothing was changed.
  taker.run("BEGIN");
  taker.run(take_over);
  const auto begin = Clock::now();
  Lease next = lease;
  ++next.token;
  const Result<Revision> waited = run_flow(write_one(*storage, fenced("a/value", "waited", next)));
  CHECK(Clock::now() - begin < longest_step);
  taker.run("ROLLBACK");
  REQUIRE(!waited);
  CHECK(waited.error().code() == Errc::timeout);
  check_contains(std::string(waited.error().what()), "storing \"a/value\"");
  CHECK(std::string(waited.error().what()).find("may have been made") == std::string::npos);
  CHECK(value_of(*storage, "a/value") == "rolled back");
}

TEST_CASE("PostgreSQL: a row that is committed late is not skipped by changed()") {
  PostgresServer server;
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  const auto cursor = [&](const std::string& from) {
    const Result<std::string> next = run_flow(storage->changed("a/", from, 1s));
    INFO((next ? "" : next.error().what()));
    REQUIRE(next);
    return *next;
  };
  Psql late(server);
  late.run("BEGIN");
  late.run(
      "INSERT INTO culmen.culmen_object (key, value, changed_in) VALUES ('a/late', 'x', pg_current_xact_id()), "
      "('b/other', 'x', pg_current_xact_id())");
  put(*storage, "a/early", "y");  // has the larger revision, and is committed first
  const std::string before = cursor("");
  CHECK(cursor(before) == before);
  late.run("COMMIT");
  const std::string after = cursor(before);
  CHECK(after != before);
  put(*storage, "b/other", "z");
  CHECK(cursor(after) == after);                                    // below another prefix
  CHECK(cursor("9;99999999:99999999:") != "9;99999999:99999999:");  // of another database
  CHECK(cursor("nonsense") != "nonsense");
  CHECK(cursor("9;::,") != "9;::,");
}

TEST_CASE("PostgreSQL: schemas, and what is said when they are missing or of another version") {
  PostgresServer server;
  const auto error_of = [](const std::shared_ptr<Storage>& storage) {
    const auto loaded = run_flow(load_one(*storage, "a/value"));
    return loaded ? std::string() : std::string(loaded.error().what());
  };
  const std::shared_ptr<Storage> storage = open(server);
  check_contains(
      error_of(storage),
      "the schema culmen has no tables of culmen; culmen storage init, or create_postgres_schema(), creates them");
  CHECK_FALSE(is_worth_retrying(run_flow(load_one(*storage, "a/value")).error()));

  // Several at once, and once more.
  std::vector<std::future<Result<void>>> creating;
  for (int i = 0; i < 4; ++i) {
    creating.push_back(std::async(
        std::launch::async, [&] { return run_flow(create_postgres_schema(PostgresOptions(server.connection()))); }));
  }
  for (auto& one : creating) {
    const Result<void> created = one.get();
    INFO((created ? "" : created.error().what()));
    CHECK(created);
  }
  CHECK(run_flow(create_postgres_schema(PostgresOptions(server.connection()))));
  put(*storage, "a/value", "in culmen");

  // Another schema of the same database is another storage, whatever its name.
  PostgresOptions odd(server.connection());
  odd.schema = "Odd \"name'; --";
  const std::shared_ptr<Storage> other = postgres_storage(odd);
  check_contains(error_of(other), "create_postgres_schema()");
  REQUIRE(run_flow(create_postgres_schema(odd)));
  CHECK(value_of(*other, "a/value") == std::nullopt);
  put(*other, "a/value", "in the odd one");
  CHECK(acquired(*other, "a").token == 1);
  CHECK(value_of(*storage, "a/value") == "in culmen");
  CHECK(value_of(*other, "a/value") == "in the odd one");

  Psql psql(server);
  psql.run("UPDATE culmen.culmen_schema SET version = 0");
  check_contains(error_of(open(server)),
                 "version 0; this culmen needs version 1; culmen storage init, or create_postgres_schema(), brings it");
  CHECK(run_flow(create_postgres_schema(PostgresOptions(server.connection()))));
  CHECK(value_of(*open(server), "a/value") == "in culmen");
  psql.run("UPDATE culmen.culmen_schema SET version = 2");
  check_contains(error_of(open(server)), "version 2, made by a newer culmen; this one knows version 1");
  const Result<void> refused = run_flow(create_postgres_schema(PostgresOptions(server.connection())));
  REQUIRE(!refused);
  check_contains(std::string(refused.error().what()), "made by a newer culmen");
  CHECK(psql.run("SELECT version FROM culmen.culmen_schema") == "2");
  psql.run("DROP SCHEMA culmen CASCADE");
  check_contains(error_of(storage), "create_postgres_schema()");

  // Somebody with the rights that docs/storage.md names, and no others.
  REQUIRE(run_flow(create_postgres_schema(PostgresOptions(server.connection()))));
  psql.run(
      "CREATE ROLE acme LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA culmen TO acme; GRANT SELECT ON culmen.culmen_schema "
      "TO acme; GRANT SELECT, INSERT, UPDATE, DELETE ON culmen.culmen_lease, culmen.culmen_object TO acme");
  const std::string connection = "postgresql://acme:x@127.0.0.1:" + std::to_string(server.port()) + "/postgres";
  const std::shared_ptr<Storage> limited = postgres_storage(PostgresOptions(connection));
  const Lease lease = acquired(*limited, "l");
  CHECK(run_flow(write_one(*limited, fenced("l/value", "x", lease))));
  CHECK(run_flow(write_one(*limited, Write("l/value"))));
  CHECK(run_flow(create_postgres_schema(PostgresOptions(connection))));  // nothing to do
}

TEST_CASE("PostgreSQL: tables that were dropped are made again") {
  PostgresServer server;
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  REQUIRE(run_flow(write_one(*storage, Write("a", "kept"))));
  Psql psql(server);
  psql.run("DROP TABLE culmen.culmen_lease");
  psql.run("DROP INDEX culmen.culmen_object_changed_in");
  const auto refused = run_flow(storage->acquire("l", "test", 5s));
  REQUIRE(!refused);
  check_contains(std::string(refused.error().what()),
                 "culmen storage init, or create_postgres_schema(), creates what is missing");
  REQUIRE(run_flow(create_postgres_schema(PostgresOptions(server.connection()))));
  CHECK(run_flow(storage->acquire("l", "test", 5s)));
  CHECK(psql.run("SELECT count(*) FROM pg_indexes WHERE indexname = 'culmen_object_changed_in'") == "1");
  CHECK(run_flow(load_one(*storage, "a")).value()->value == "kept");
}

TEST_CASE("PostgreSQL: errors name the place, and never a password") {
  PostgresServer server;
  const std::string port = std::to_string(server.port());
  const auto error_of = [](const std::string& connection) {
    const auto begin = Clock::now();
    const auto storage = postgres_storage(PostgresOptions(connection));
    const auto loaded = run_flow(load_one(*storage, "a/value"));
    CHECK(Clock::now() - begin < longest_step);
    REQUIRE(!loaded);
    return loaded.error();
  };
  const Error wrong = error_of("postgresql://culmen:tell-nobody@127.0.0.1:" + port + "/postgres");
  check_contains(std::string(wrong.what()), "password authentication failed");
  check_contains(std::string(wrong.what()), "loading \"a/value\": PostgreSQL at 127.0.0.1:" + port);
  CHECK(std::string(wrong.what()).find("tell-nobody") == std::string::npos);
  // The server quotes the name of the database.
  const Error quoting =
      error_of("host=127.0.0.1 port=" + port + " user=culmen dbname=tell-nobody password='" + "tell-nobody'");
  CHECK(std::string(quoting.what()).find("authentication failed") != std::string::npos);
  const Error missing = error_of(server.connection() + " dbname=missing");
  check_contains(std::string(missing.what()), "database \"missing\" does not exist");

  // What is put together wrongly could have a password in it: neither libpq's text nor the place shows it.
  for (const std::string odd : {"dbname=x;tell-nobody", "sslmode=disable;tell-nobody", "keepalives_idle=5;tell-nobody",
                                "user=x;tell-nobody", "dbname=postgresql://u:tell-nobody@127.0.0.1/x"}) {
    CAPTURE(odd);
    const std::string text = error_of(server.connection() + " " + odd).what();
    CHECK(text.find("tell-nobody") == std::string::npos);
    CAPTURE(text);
    CHECK(text.find("***") != std::string::npos);
  }
  // An "@" that is encoded is a part of the password.
  CHECK(std::string(error_of("postgresql://culmen:tell%40nobody@127.0.0.1:" + port + "/postgres").what())
            .find("nobody") == std::string::npos);

  const std::uint16_t free = cli_test::free_port();
  const Error refused = error_of("host=127.0.0.1 port=" + std::to_string(free) + " user=culmen dbname=postgres");
  CHECK(refused.code() == Errc::connection_failed);
  check_contains(std::string(refused.what()), "127.0.0.1:" + std::to_string(free));

  for (const std::string connection :
       {"tell-nobody", "password=tell-nobody bad", "postgresql://u:tell-nobody@[::1", "nonsense=tell-nobody",
        "postgresql://u:tell-nobody/x@127.0.0.1/postgres", "postgresql://u:12/tell-nobody@127.0.0.1/postgres",
        "postgresql://u:x@tell-nobody@127.0.0.1/postgres", "host=127.0.0.1;password=tell-nobody",
        "host=127.0.0.1 sslmode=disable;password=tell-nobody", "host=127.0.0.1 port=tell-nobody",
        "host=127.0.0.1 user=u;pwd=tell-nobody", "host=x@tell-nobody", "host=127.0.0.1;tell-nobody"}) {
    CAPTURE(connection);
    try {
      (void)postgres_storage(PostgresOptions(connection));
      FAIL_CHECK("it was accepted");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::invalid_argument);
      CHECK(std::string(error.what()).find("tell-nobody") == std::string::npos);
    }
  }
  PostgresOptions options(server.connection());
  options.schema = "";
  CHECK_THROWS_AS((void)postgres_storage(options), Error);
  options.schema = "culmen";
  options.connections = 0;
  CHECK_THROWS_AS((void)postgres_storage(options), Error);
  options.connections = 1;
  options.poll_interval = 1ms;
  CHECK_THROWS_AS((void)postgres_storage(options), Error);
  const Result<void> created = run_flow(create_postgres_schema(PostgresOptions("tell-nobody")));
  REQUIRE(!created);
  CHECK(created.error().code() == Errc::invalid_argument);
}

TEST_CASE("PostgreSQL: more calls than connections take turns") {
  PostgresServer server;
  open_with_schema(server);
  PostgresOptions options(server.connection());
  options.connections = 2;
  const auto storage = postgres_storage(options);
  std::atomic<int> good = 0;
  std::vector<std::future<void>> running;
  for (int i = 0; i < 12; ++i) {
    running.push_back(std::async(std::launch::async, [&, i] {
      for (int round = 0; round < 5; ++round) {
        const auto written = run_flow(write_one(*storage, Write("t/" + std::to_string(i), std::to_string(round))));
        if (written) ++good;
      }
    }));
  }
  for (auto& one : running) one.get();
  CHECK(good == 12 * 5);
  Psql psql(server);
  CHECK(psql.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'culmen'") == "2");

  // Both in use for longer than a call may wait: the others say so.
  psql.run("BEGIN");
  psql.run("LOCK TABLE culmen.culmen_object IN ACCESS EXCLUSIVE MODE");
  std::vector<std::future<std::string>> blocked;
  for (int i = 0; i < 4; ++i) {
    blocked.push_back(std::async(std::launch::async, [&] {
      const auto loaded = run_flow(load_one(*storage, "t/1"));
      return loaded ? std::string() : std::string(loaded.error().what());
    }));
  }
  int waited = 0, locked = 0;
  for (auto& one : blocked) {
    const std::string text = one.get();
    waited += text.find("no time was left") != std::string::npos || text.find("are in use") != std::string::npos;
    locked += text.find("57014") != std::string::npos || text.find("55P03") != std::string::npos;
  }
  CHECK(waited + locked == 4);
  CHECK(locked >= 2);
  psql.run("ROLLBACK");
  CHECK(value_of(*storage, "t/1") == "4");
}

TEST_CASE("PostgreSQL: what one step cannot take is done in several, and expired rows are removed") {
  PostgresServer server;
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  constexpr std::size_t count = 2 * postgres::most_in_one_step + 1;
  std::vector<Write> writes;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) {
    keys.push_back("k/" + std::to_string(i));
    writes.emplace_back(keys.back(), std::to_string(i));
  }
  const auto written = run_flow(storage->write(writes));  // as a whole all the same
  INFO((written ? "" : written.error().what()));
  REQUIRE(written);
  CHECK(written->size() == count);
  keys.emplace_back("k/missing");
  const auto loaded = run_flow(storage->load(keys));
  REQUIRE(loaded);
  CHECK(loaded->size() == count + 1);
  CHECK_FALSE(loaded->back());
  for (std::size_t i = 0; i < count; ++i) CHECK((*loaded)[i]->value == std::to_string(i));
  const auto listed = run_flow(storage->list("k/", "", count - 1, true));
  REQUIRE(listed);
  CHECK(listed->size() == count - 1);
  CHECK(std::is_sorted(listed->begin(), listed->end(), [](const auto& a, const auto& b) { return a.key < b.key; }));
  CHECK(run_flow(storage->list("k/", "", count + 1, false))->size() == count);

  Psql psql(server);
  psql.run("INSERT INTO culmen.culmen_lease SELECT 'l/' || i, 'test', 1, 'infinity' FROM generate_series(1, " +
           std::to_string(count) + ") AS i");
  std::vector<Lease> leases;
  for (std::size_t i = 1; i <= count; ++i) {
    leases.emplace_back();
    leases.back().name = "l/" + std::to_string(i);
    leases.back().token = i % 2 == 0 ? 1 : 2;
  }
  const auto renewed = run_flow(storage->renew(leases, 60s));
  REQUIRE(renewed);
  REQUIRE(renewed->size() == count);
  for (std::size_t i = 0; i < count; ++i) CHECK((*renewed)[i].has_value() == (leases[i].token == 1));

  // What has expired, and what was removed long ago.
  Write brief("e/brief", "x");
  brief.expires_in = 60s;
  REQUIRE(run_flow(write_one(*storage, brief)));
  put(*storage, "e/removed", "x");
  REQUIRE(run_flow(write_one(*storage, Write("e/removed"))));
  put(*storage, "e/kept", "x");
  postgres::Database database{PostgresOptions(server.connection())};
  const std::string rows = "SELECT count(*) FROM culmen.culmen_object WHERE key LIKE 'e/%'";
  database.sweep();
  CHECK(psql.run(rows) == "3");
  psql.run("UPDATE culmen.culmen_object SET expires_at = expires_at - interval '2 days'");
  CHECK(value_of(*storage, "e/brief") == std::nullopt);
  database.sweep();
  CHECK(psql.run(rows) == "1");
  CHECK(value_of(*storage, "e/kept") == "x");
}
