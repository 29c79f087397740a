// Tests of changed(), and of what happens to an engine: cancellation, outages, restarts.
#include <cstddef>

#include "conformance/bench.hpp"
#include "culmen/error.hpp"

namespace culmen::conformance {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Flow<std::string> next_cursor(Bench& bench, std::size_t handle, std::string prefix, std::string cursor,
                              seconds patience) {
  Result<std::string> changed = co_await bench.handle(handle).changed(std::move(prefix), std::move(cursor), patience);
  std::string next = unwrapped(std::move(changed), "waiting for a change");
  expect(!next.empty(), "changed() returns a cursor");
  co_return next;
}

Flow<Result<void>> write_after(Bench* bench, Write write, milliseconds delay) {
  Result<void> waited = co_await wait(delay);
  if (!waited) co_return waited;
  Result<Revision> written = co_await write_one(bench->second(), std::move(write));
  if (!written) co_return written.error();
  co_return Result<void>();
}

/// Waits for a change that `write` makes meanwhile.
Flow<Result<void>> notices(Bench* bench, std::string cursor, std::string what) {
  const bool prompt = bench->first().capabilities().prompt_changes;
  // What is not prompt may need all its patience.
  const seconds patience(prompt ? 120 : 3);
  const Instant begin = co_await now();
  std::string next = co_await next_cursor(*bench, 0, bench->prefix(), cursor, patience);
  const Instant end = co_await now();
  expect(next != cursor, "changed() returns another cursor after " + what);
  if (prompt) expect(end.steady - begin.steady < seconds(60), "changed() returns soon after " + what);
  co_return Result<void>();
}

Flow<Result<void>> changes_are_noticed(Bench& bench) {
  std::string cursor = co_await next_cursor(bench, 0, bench.prefix(), std::string(), seconds(60));
  // It may return too often, when what an engine remembers of changes begins anew, but not always.
  constexpr int tries = 5;
  bool same = false;
  for (int i = 0; i < tries && !same; ++i) {
    std::string next = co_await next_cursor(bench, 0, bench.prefix(), cursor, seconds(1));
    same = next == cursor;
    cursor = std::move(next);
  }
  expect(same, "changed() returns the same cursor if nothing changed");

  Write create(bench.key("value"), "one");
  Write replace(bench.key("value"), "two");
  Write removal(bench.key("value"));
  std::vector<Write> changes;
  changes.push_back(std::move(create));
  changes.push_back(std::move(replace));
  changes.push_back(std::move(removal));
  for (const Write& change : changes) {
    const std::string what = change.value ? "a value is stored" : "a value is removed";
    cursor = co_await next_cursor(bench, 0, bench.prefix(), std::string(), seconds(60));
    std::vector<Flow<Result<void>>> both;
    both.push_back(notices(&bench, cursor, what + " while it waits"));
    both.push_back(write_after(&bench, change, milliseconds(200)));
    const std::vector<Result<void>> ended = co_await all(std::move(both));
    for (const Result<void>& result : ended) {
      if (!result) co_return result;
    }
  }
  // Between two calls.
  for (const Write& change : changes) {
    cursor = co_await next_cursor(bench, 0, bench.prefix(), std::string(), seconds(60));
    Result<void> done = co_await write_after(&bench, change, milliseconds(0));
    if (!done) co_return done;
    const std::string what =
        change.value ? "a value was stored before the call" : "a value was removed before the call";
    done = co_await notices(&bench, cursor, what);
  }
  co_return Result<void>();
}

// ---- Cancellation ----

Flow<Result<void>> sleep_for(microseconds duration) {
  Result<void> waited = co_await wait(duration);
  co_return waited;
}
/// Runs the flow, and cancels it after that time unless it has ended.
Flow<Result<void>> cancelled_after(Flow<Result<void>> flow, microseconds duration) {
  std::vector<Flow<Result<void>>> either;
  either.push_back(std::move(flow));
  either.push_back(sleep_for(duration));
  First<Result<void>> first = co_await first_of(std::move(either));
  co_return std::move(first.result);
}

/// A bit of everything.
Flow<Result<void>> use_everything(Bench* bench, std::string value) {
  Storage& storage = bench->first();
  std::optional<Lease> lease;
  {
    Result<std::optional<Lease>> acquired = co_await storage.acquire(bench->key("lease"), "conformance", seconds(1));
    if (!acquired) co_return acquired.error();
    lease = std::move(*acquired);
  }
  Result<std::optional<StoredValue>> loaded = co_await load_one(storage, bench->key("lease/value"));
  if (!loaded) co_return loaded.error();
  Write change(bench->key("lease/value"), value);
  change.fence = lease;
  Result<Revision> written = co_await write_one(storage, std::move(change));
  if (!written) co_return written.error();
  Result<std::vector<StoredItem>> listed = co_await storage.list(bench->prefix(), std::string(), 100, true);
  if (!listed) co_return listed.error();
  if (lease) {
    std::vector<Lease> leases(1, *lease);
    Result<std::vector<std::optional<Lease>>> renewed = co_await storage.renew(std::move(leases), seconds(1));
    if (!renewed) co_return renewed.error();
    Result<void> released = co_await storage.release(*lease);
    if (!released) co_return released;
  }
  Result<std::string> cursor = co_await storage.changed(bench->prefix(), std::string(), seconds(1));
  if (!cursor) co_return cursor.error();
  cursor = co_await storage.changed(bench->prefix(), std::string(*cursor), seconds(10));
  if (!cursor) co_return cursor.error();
  co_return Result<void>();
}

Flow<Result<void>> cancellation_leaves_it_usable(Bench& bench) {
  const std::string key = bench.key("lease/value");
  std::string before = "before";
  Revision revision = co_await bench.put(key, before);
  // From before the first ask to long after the last.
  int step = 0;
  for (microseconds after(0); after < seconds(2);
       after = after * 3 / 2 + microseconds(after < milliseconds(2) ? 100 : 1000)) {
    const std::string value = "value " + std::to_string(++step);
    Result<void> ended = co_await cancelled_after(use_everything(&bench, value), after);
    if (!ended && ended.error().code() != Errc::cancelled) co_return ended.error();
    std::optional<StoredValue> stored = co_await bench.get(key);
    expect(stored && (stored->value == before || stored->value == value), "a write that was cancelled was made or not",
           stored ? "the value is \"" + stored->value + "\"" : "the value is gone");
    before = stored->value;
  }
  // The lease was perhaps given out and never released: then it expires.
  Lease lease = co_await bench.acquire_in_time(1, bench.key("lease"), seconds(60));
  Write change = fenced(key, "after", lease);
  revision = co_await bench.write(std::move(change));
  Result<void> seen = co_await bench.sees(key, "after", "after cancellations the storage works");
  Result<void> released = co_await bench.release(1, std::move(lease));
  co_return seen;
}

// ---- Outages and restarts ----

Flow<Result<void>> set_outage(const StorageUnderTest& subject, bool down) {
  std::function<Result<void>()> set = [outage = subject.outage, down] {
    outage(down);
    return Result<void>();
  };
  Result<void> done = co_await call(std::move(set));
  if (!done) throw done.error().while_doing(down ? "making the storage unreadable" : "making the storage readable");
  co_return done;
}

/// What cannot be read is an error, and not the one of an invalid argument.
template <class T>
void expect_error(const Result<T>& result, const std::string& what) {
  expect(!result, "while the storage cannot be read, " + what + " is an error", "it succeeded");
  expect(result.error().code() != Errc::invalid_argument,
         "while the storage cannot be read, " + what + " is an error of the engine", result.error().what());
}

Flow<Result<void>> use_during_outage(Bench& bench, Lease held) {
  Storage& storage = bench.first();
  Result<std::optional<StoredValue>> loaded = co_await load_one(storage, bench.key("value"));
  expect_error(loaded, "load()");
  Result<std::vector<StoredItem>> listed = co_await storage.list(bench.prefix(), std::string(), 100, false);
  expect_error(listed, "list()");
  Write create = expecting(bench.key("new"), "value", Revision());
  Result<Revision> written = co_await write_one(storage, std::move(create));
  expect_error(written, "write()");
  Result<std::optional<Lease>> acquired = co_await storage.acquire(bench.key("lease2"), "conformance", seconds(60));
  expect_error(acquired, "acquire()");
  std::vector<Lease> leases(1, std::move(held));
  Result<std::vector<std::optional<Lease>>> renewed = co_await storage.renew(std::move(leases), seconds(60));
  expect_error(renewed, "renew()");
  co_return Result<void>();
}

Flow<Result<void>> outages_are_errors(Bench& bench) {
  if (!bench.subject().outage) co_return Result<void>();
  Revision revision = co_await bench.put(bench.key("value"), "value");
  Lease lease = co_await bench.acquire(0, bench.key("lease"), seconds(120));
  Result<void> done = co_await set_outage(bench.subject(), true);
  std::function<Flow<Result<void>>()> make = [&bench, &lease] { return use_during_outage(bench, lease); };
  Result<void> used = co_await guarded(std::move(make), std::string());
  done = co_await set_outage(bench.subject(), false);
  if (!used) co_return used;
  done = co_await bench.sees(bench.key("value"), "value", "after an outage the storage has what it had");
  done = co_await bench.sees(bench.key("new"), std::nullopt, "what was an error in an outage was not done");
  Write change = fenced(bench.key("lease/value"), "value", lease);
  revision = co_await bench.write(std::move(change));
  done = co_await bench.release(0, std::move(lease));
  co_return done;
}

Flow<Result<void>> restarts_lose_nothing(Bench& bench) {
  Revision revision = co_await bench.put(bench.key("value"), "value");
  Lease first = co_await bench.acquire(0, bench.key("lease"), seconds(2));
  Write change = fenced(bench.key("lease/value"), "first", first);
  revision = co_await bench.write(std::move(change));
  if (bench.subject().restart) {
    std::function<Result<void>()> restart = [restart = bench.subject().restart] {
      restart();
      return Result<void>();
    };
    Result<void> restarted = co_await call(std::move(restart));
    if (!restarted) throw restarted.error().while_doing("restarting the engine");
  }
  bench.reopen();
  Result<void> done = co_await bench.sees(bench.key("value"), "value", "a new handle has what was stored");
  done = co_await bench.sees(bench.key("lease/value"), "first", "a new handle has what was stored");
  Lease second = co_await bench.acquire_in_time(0, bench.key("lease"), seconds(60));
  expect(second.token > first.token, "tokens grow over a restart",
         std::to_string(second.token) + " follows " + std::to_string(first.token));
  change = fenced(bench.key("lease/value"), "late", first);
  done = co_await bench.refused(std::move(change), Errc::fenced, "fences hold over a restart");
  done = co_await bench.release(0, second);
  Lease third = co_await bench.acquire(1, bench.key("lease"), seconds(60));
  expect(third.token > second.token, "tokens grow after a restart");
  done = co_await bench.release(0, std::move(third));
  co_return done;
}

}  // namespace

const std::vector<Definition> engine_tests = {
    {"changes: are noticed", "changes", changes_are_noticed},
    {"cancellation: leaves the storage usable", "cancel", cancellation_leaves_it_usable},
    {"outage: is an error, and loses nothing", "outage", outages_are_errors},
    {"restart: loses nothing, and tokens grow", "restart", restarts_lose_nothing},
};

}  // namespace culmen::conformance
