// Storage in PostgreSQL while its server is stopped, killed or out of reach.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "culmen/cancel_token.hpp"
#include "culmen/postgres_storage.hpp"
#include "support/postgres_storage.hpp"
#include "support/run_flow.hpp"
#include "support/stalling_proxy.hpp"

using namespace culmen;
using namespace server_test;
using namespace std::chrono_literals;
using culmen::test::run_flow;
using Clock = std::chrono::steady_clock;

namespace {

/// Also when the test fails: otherwise its threads would never end.
class SetAtEnd {
 public:
  explicit SetAtEnd(std::atomic<bool>& flag) : flag_(flag) {}
  ~SetAtEnd() { flag_ = true; }
  SetAtEnd(const SetAtEnd&) = delete;
  SetAtEnd& operator=(const SetAtEnd&) = delete;

 private:
  std::atomic<bool>& flag_;
};

struct Ended {
  std::optional<Error> error;
  Clock::duration took{};
};

/// Calls every function of the interface, all at the same time.
std::map<std::string, Ended> call_every_function(Storage& storage, Lease lease, CancelToken cancel) {
  std::map<std::string, std::future<Ended>> calls;
  const auto start = [&](const char* name, auto make) {
    calls[name] = std::async(std::launch::async, [make, cancel] {
      const auto begin = Clock::now();
      const auto result = run_flow(make(), cancel);
      Ended ended;
      if (!result) ended.error = result.error();
      ended.took = Clock::now() - begin;
      return ended;
    });
  };
  Storage* const s = &storage;
  const std::vector<std::string> keys = {"a/1", "a/2"};
  const std::vector<Lease> leases = {lease};
  start("load", [=] { return s->load(keys); });
  start("list", [=] { return s->list("a/", "", 10, true); });
  start("write", [=] { return s->write({Write("a/1", "x"), Write("a/2", "y")}); });
  start("acquire", [=] { return s->acquire("b", "test", 10s); });
  start("renew", [=] { return s->renew(leases, 10s); });
  start("release", [=] { return s->release(lease); });
  start("changed", [=] { return s->changed("a/", "1;1:1:", 30s); });
  std::map<std::string, Ended> all;
  for (auto& [name, call] : calls) all[name] = call.get();
  return all;
}

}  // namespace

TEST_CASE("PostgreSQL: restarts, crashes and closed sessions cost an error at most") {
  PostgresServer server;
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  put(*storage, "a/value", "1");
  const Lease lease = acquired(*storage, "a");

  SUBCASE("a restart between two calls") {
    server.kill();
    server.start();
    CHECK(value_of(*storage, "a/value") == "1");
    CHECK(run_flow(write_one(*storage, fenced("a/value", "2", lease))));
    CHECK(acquired(*storage, "b").token == 1);
    CHECK_FALSE(*run_flow(storage->acquire("a", "other", 60s)));
  }
  SUBCASE("the server is away for a while") {
    server.kill();
    for (const auto& entry : call_every_function(*storage, lease, CancelToken::never())) {
      CAPTURE(entry.first);
      const Ended& ended = entry.second;
      REQUIRE(ended.error);
      CHECK(ended.error->code() == Errc::connection_failed);
      CHECK(is_worth_retrying(*ended.error));
      check_contains(std::string(ended.error->what()), "PostgreSQL at 127.0.0.1:" + std::to_string(server.port()));
      CHECK(ended.took < longest_step);
    }
    server.start();
    CHECK(value_of(*storage, "a/value") == "1");
  }
  SUBCASE("sessions are ended in the middle of statements") {
    Psql blocker(server), killer(server);
    blocker.run("BEGIN");
    blocker.run("LOCK TABLE culmen.culmen_object IN ACCESS EXCLUSIVE MODE");
    auto writing = std::async(std::launch::async, [&] { return run_flow(write_one(*storage, Write("a/value", "2"))); });
    CHECK(cli_test::eventually([&] {
      return killer.run(
                 "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != "0";
    }));
    const Result<Revision> written = writing.get();
    REQUIRE(!written);
    CHECK(written.error().code() == Errc::connection_failed);
    check_contains(std::string(written.error().what()), "57P01");
    blocker.run("ROLLBACK");
    CHECK(value_of(*storage, "a/value") == "1");
  }
  SUBCASE("many restarts during many calls") {
    std::atomic<bool> done = false;
    std::atomic<int> good = 0, wrong = 0;
    std::vector<std::future<void>> running;
    for (int i = 0; i < 3; ++i) {
      running.push_back(std::async(std::launch::async, [&, i] {
        while (!done) {
          const auto written = run_flow(write_one(*storage, Write("r/" + std::to_string(i), "x")));
          if (written) ++good;
          if (!written && !is_worth_retrying(written.error())) {
            ++wrong;
            MESSAGE(written.error().what());
          }
        }
      }));
    }
    const SetAtEnd stop(done);
    for (int i = 0; i < 3; ++i) {
      const int before = good;
      CHECK(cli_test::eventually([&] { return good > before + 10; }));
      server.kill();
      server.start();
    }
    const int before = good;
    CHECK(cli_test::eventually([&] { return good > before + 10; }));
    done = true;
    for (auto& one : running) one.get();
    CHECK(wrong == 0);
  }
}

TEST_CASE("PostgreSQL: the answer to a commit is lost") {
  PostgresServer server;
  const std::shared_ptr<Storage> direct = open_with_schema(server);
  culmen::test::StallingProxy proxy(server.port());
  const std::shared_ptr<Storage> storage = open(server, proxy.port());
  const Revision first = put(*storage, "a/value", "1");
  Write write("a/value", "2");
  write.expected = first;

  const auto check_unknown = [&](const Result<Revision>& written, Errc code) {
    REQUIRE(!written);
    CHECK(written.error().code() == code);
    check_contains(std::string(written.error().what()), "may have been made: load it before writing again");
  };
  SUBCASE("the connection breaks after the request: it was done, and a reload shows it") {
    proxy.cut_at_answer = true;
    check_unknown(run_flow(write_one(*storage, write)), Errc::connection_failed);
    CHECK(proxy.cuts == 1);
    proxy.cut_at_answer = false;
    CHECK(cli_test::eventually([&] { return value_of(*storage, "a/value") == "2"; }));
    const Result<Revision> again = run_flow(write_one(*storage, write));
    REQUIRE(!again);
    CHECK(again.error().code() == Errc::conflict);
  }
  SUBCASE("the answer does not come in time") {
    proxy.hold(false, true);
    const auto begin = Clock::now();
    check_unknown(run_flow(write_one(*storage, write)), Errc::timeout);
    CHECK(Clock::now() - begin < longest_step);
    proxy.hold(false, false);
    CHECK(cli_test::eventually([&] { return value_of(*storage, "a/value") == "2"; }));
  }
  SUBCASE("the request does not arrive in time: it can still be done later") {
    proxy.hold(true, false);
    check_unknown(run_flow(write_one(*storage, write)), Errc::timeout);
    CHECK(value_of(*direct, "a/value") == "1");
    proxy.hold(false, false);
    CHECK(cli_test::eventually([&] { return value_of(*direct, "a/value") == "2"; }));
    CHECK(value_of(*storage, "a/value") == "2");
  }
  SUBCASE("the answer to an acquisition: the lease ends by itself, and its token is not given out again") {
    proxy.cut_at_answer = true;
    const auto lost = run_flow(storage->acquire("a", "test", 1s));
    REQUIRE(!lost);
    proxy.cut_at_answer = false;
    std::optional<Lease> lease;
    CHECK(cli_test::eventually([&] {
      const auto next = run_flow(storage->acquire("a", "test", 1s));
      if (next && *next) lease = **next;
      return lease.has_value();
    }));
    CHECK(lease->token == 2);
  }
}

TEST_CASE("PostgreSQL: a server that is stopped: every function ends in time, and so does cancellation") {
  PostgresServer server;
  const std::shared_ptr<Storage> storage = open_with_schema(server);
  put(*storage, "a/1", "before");
  const Lease lease = acquired(*storage, "a");
  server.freeze();
  // Once with a connection that was open before, then without.
  for (int round = 0; round < 2; ++round) {
    for (const auto& entry : call_every_function(*storage, lease, CancelToken::never())) {
      CAPTURE(entry.first);
      REQUIRE(entry.second.error);
      CHECK(entry.second.error->code() == Errc::timeout);
      CHECK(entry.second.took >= 1s);
      CHECK(entry.second.took < longest_step);
    }
  }
  CancelToken soon;
  std::thread canceller([&soon] {
    std::this_thread::sleep_for(200ms);
    soon.cancel();
  });
  for (const auto& entry : call_every_function(*storage, lease, soon)) {
    CAPTURE(entry.first);
    CHECK(entry.second.error);
    CHECK(entry.second.took < longest_step);
  }
  canceller.join();
  server.thaw();
  CHECK(cli_test::eventually([&] { return run_flow(load_one(*storage, "a/1")).has_value(); }));

  // Waiting for a change is cancelled at once: no call is in progress.
  CancelToken cancel;
  const Result<std::string> cursor = run_flow(storage->changed("a/", "", 1s));
  REQUIRE(cursor);
  auto waiting =
      std::async(std::launch::async, [&] { return run_flow(storage->changed("a/", *cursor, 300s), cancel); });
  std::this_thread::sleep_for(100ms);
  cancel.cancel();
  REQUIRE(waiting.wait_for(longest_step) == std::future_status::ready);
  const Result<std::string> ended = waiting.get();
  REQUIRE(!ended);
  CHECK(ended.error().code() == Errc::cancelled);
}

TEST_CASE("PostgreSQL: a host that does not answer is passed over the next time") {
  PostgresServer server, silent;
  open_with_schema(server);
  silent.freeze();
  const std::string connection = "host=127.0.0.1,127.0.0.1 port=" + std::to_string(silent.port()) + "," +
                                 std::to_string(server.port()) + " user=culmen dbname=postgres password='" +
                                 "S3cret of the database\\'s owner'";
  const auto storage = postgres_storage(PostgresOptions(connection));
  const auto first = run_flow(load_one(*storage, "a/value"));
  REQUIRE(!first);
  CHECK(first.error().code() == Errc::timeout);
  CHECK(run_flow(load_one(*storage, "a/value")));
}
