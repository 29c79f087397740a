#include "conformance/bench.hpp"

#include "culmen/error.hpp"

namespace culmen::conformance {

namespace {

constexpr std::chrono::milliseconds pause{50};
constexpr std::chrono::minutes longest_wait_for_lease{2};

/// A Storage that is null would end the process, not the test.
std::shared_ptr<Storage> opened(const StorageUnderTest& subject) {
  if (!subject.open) fail("StorageUnderTest::open is set", "it is empty");
  std::shared_ptr<Storage> storage = subject.open();
  if (!storage) fail("StorageUnderTest::open() returns a storage", "it returned nullptr");
  return storage;
}

std::string in_quotes(const std::optional<std::string>& value) {
  if (!value) return "no value";
  if (value->size() > 60) return "a value of " + std::to_string(value->size()) + " octets";
  return "\"" + printable(*value) + "\"";
}

}  // namespace

void fail(const std::string& expectation, const std::string& instead) {
  throw Error(Errc::bad_response, expectation, instead.empty() ? "that is not so" : instead);
}

void expect(bool holds, const std::string& expectation, const std::string& instead) {
  if (!holds) fail(expectation, instead);
}

Write expecting(std::string key, std::string value, Revision expected) {
  Write write(std::move(key), std::move(value));
  write.expected = std::move(expected);
  return write;
}

Write fenced(std::string key, std::string value, Lease fence) {
  Write write(std::move(key), std::move(value));
  write.fence = std::move(fence);
  return write;
}

Bench::Bench(StorageUnderTest subject, const std::string& folder)
    : subject_(std::move(subject)), folder_(subject_.scratch + "/" + folder) {
  reopen();
}

void Bench::reopen() {
  first_ = opened(subject_);
  second_ = opened(subject_);
}

Flow<Revision> Bench::put(std::string key, std::string value) {
  Write change(std::move(key), std::move(value));
  Revision revision = co_await write(std::move(change));
  co_return revision;
}

Flow<Revision> Bench::write(Write write) {
  const std::string doing = "storing " + write.key;
  const bool stores = write.value.has_value();
  Result<Revision> written = co_await write_one(*first_, std::move(write));
  Revision revision = unwrapped(std::move(written), "a write that must succeed");
  expect(revision.none() != stores, doing + " returns the revision of what is there then",
         "it returned \"" + revision.text + "\"");
  co_return revision;
}

Flow<std::vector<Revision>> Bench::write_all(std::vector<Write> writes) {
  const std::size_t count = writes.size();
  Result<std::vector<Revision>> written = co_await first_->write(std::move(writes));
  std::vector<Revision> revisions = unwrapped(std::move(written), "a write of several keys that must succeed");
  expect(revisions.size() == count, "write() returns a revision for each write");
  co_return revisions;
}

Flow<Result<void>> Bench::refused(Write write, Errc code, std::string expectation) {
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  Result<void> done = co_await all_refused(std::move(writes), code, std::move(expectation));
  co_return done;
}

Flow<Result<void>> Bench::all_refused(std::vector<Write> writes, Errc code, std::string expectation) {
  Result<std::vector<Revision>> written = co_await second_->write(std::move(writes));
  if (written) fail(expectation, "it succeeded");
  if (written.error().code() != code) {
    fail(expectation + " (" + std::string(to_string(code)) + ")",
         "the error is " + std::string(to_string(written.error().code())) + ": " + written.error().what());
  }
  co_return Result<void>();
}

Flow<std::optional<StoredValue>> Bench::get(std::string key) {
  Result<std::optional<StoredValue>> loaded = co_await load_one(*first_, std::move(key));
  std::optional<StoredValue> stored = unwrapped(std::move(loaded), "a load that must succeed");
  if (stored) expect(!stored->revision.none(), "a value that exists has a revision");
  co_return stored;
}

Flow<Result<void>> Bench::sees(std::string key, std::optional<std::string> value, std::string expectation) {
  for (std::size_t number = 0; number < 2; ++number) {
    Result<std::optional<StoredValue>> loaded = co_await load_one(handle(number), key);
    std::optional<StoredValue> stored = unwrapped(std::move(loaded), "a load that must succeed");
    std::optional<std::string> seen;
    if (stored) seen = std::move(stored->value);
    if (seen != value) fail(expectation + ": " + key + " has " + in_quotes(value), "it has " + in_quotes(seen));
  }
  co_return Result<void>();
}

Flow<std::vector<StoredItem>> Bench::list(std::string prefix, std::string after, std::size_t limit, bool with_values) {
  const std::string doing = "listing " + prefix;
  Result<std::vector<StoredItem>> listed = co_await second_->list(prefix, after, limit, with_values);
  std::vector<StoredItem> items = unwrapped(std::move(listed), "a list that must succeed");
  expect(items.size() <= limit, "list() returns at most `limit` keys");
  std::string last = after;
  for (const StoredItem& item : items) {
    expect(item.key.starts_with(prefix), doing + ": every key begins with the prefix", item.key + " does not");
    expect(last < item.key, doing + ": keys are in the order of their octets, after `after`",
           item.key + " follows " + last);
    expect(!item.stored.revision.none(), doing + ": every key has a revision", item.key + " has none");
    last = item.key;
  }
  co_return items;
}

Flow<std::vector<std::string>> Bench::keys_below(std::string prefix) {
  std::vector<std::string> keys;
  std::string after;
  for (;;) {
    std::vector<StoredItem> page = co_await list(prefix, after, 100, false);
    for (StoredItem& item : page) keys.push_back(std::move(item.key));
    if (page.size() < 100) break;
    after = keys.back();
  }
  co_return keys;
}

Flow<Result<void>> Bench::remove_all_below(std::string prefix) {
  std::vector<std::string> keys = co_await keys_below(std::move(prefix));
  for (std::string& key : keys) {
    Write removal(std::move(key));
    Revision none = co_await write(std::move(removal));
    static_cast<void>(none);
  }
  co_return Result<void>();
}

Flow<std::optional<Lease>> Bench::try_acquire(std::size_t number, std::string name, std::chrono::seconds ttl) {
  const std::string doing = "acquiring the lease " + name;
  const Instant before = co_await now();
  Result<std::optional<Lease>> acquired = co_await handle(number).acquire(name, "conformance", ttl);
  std::optional<Lease> lease = unwrapped(std::move(acquired), "an acquire() that must succeed");
  if (lease) {
    const Instant after = co_await now();
    expect(lease->name == name, doing + ": the lease has that name", "its name is " + lease->name);
    expect(lease->token != 0, doing + ": its token is not 0");
    expect(lease->good_until > before.steady && lease->good_until <= after.steady + ttl,
           doing + ": good_until is at most the time to live from now");
  }
  co_return lease;
}

Flow<Lease> Bench::acquire(std::size_t number, std::string name, std::chrono::seconds ttl) {
  std::optional<Lease> lease = co_await try_acquire(number, name, ttl);
  expect(lease.has_value(), "the lease " + name + " can be acquired", "it is held");
  co_return std::move(*lease);
}

Flow<Lease> Bench::acquire_in_time(std::size_t number, std::string name, std::chrono::seconds ttl) {
  const Instant begin = co_await now();
  for (;;) {
    std::optional<Lease> lease = co_await try_acquire(number, name, ttl);
    if (lease) co_return std::move(*lease);
    const Instant time = co_await now();
    expect(time.steady - begin.steady < longest_wait_for_lease,
           "the lease " + name + " can be acquired after its owner went away", "it is held for two minutes already");
    Result<void> waited = co_await wait(pause);
    if (!waited) throw waited.error();
  }
}

Flow<Result<void>> Bench::release(std::size_t number, Lease lease) {
  Result<void> released = co_await handle(number).release(std::move(lease));
  if (!released) throw released.error().while_doing("a release() that must succeed");
  co_return Result<void>();
}

}  // namespace culmen::conformance
