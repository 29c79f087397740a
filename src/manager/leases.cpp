#include "manager/leases.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/time.hpp"
#include "culmen/private_key.hpp"
#include "culmen/records.hpp"

namespace culmen::manager {

namespace {
using std::chrono::seconds;

constexpr seconds shortest_time_to_live(3);
constexpr seconds between_acquisitions(1);
constexpr std::size_t page = 1000;  // of Store::list()
constexpr std::string_view unused_keys = "keys/unused/";

LeaseOptions with_valid_ttl(LeaseOptions options) {
  options.ttl = std::max(options.ttl, shortest_time_to_live);
  return options;
}

/// 20261127T203000Z.
std::string key_time_text(planner::Time time) {
  std::string text = base::format_rfc3339(std::chrono::floor<seconds>(time));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

/// The thumbprint in hexadecimal digits; of what is not a key, FNV-1a.
std::string name_of_key(const std::string& pem) {
  const Result<std::string> thumbprint = result_of([&] { return PrivateKey::from_pem(pem).thumbprint(); });
  const std::optional<Bytes> digest = thumbprint ? base::base64url_decode(*thumbprint) : std::nullopt;
  if (digest) return base::hex_encode(*digest);
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : pem) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  Bytes octets;
  for (int shift = 56; shift >= 0; shift -= 8) octets.push_back(static_cast<std::uint8_t>(hash >> shift));
  return base::hex_encode(octets);
}
}  // namespace

Leases::Leases(std::shared_ptr<Storage> storage, LeaseOptions options)
    : options_(with_valid_ttl(std::move(options))),
      store_(std::move(storage), no_reporter(), options_.owner, options_.ttl) {}

Flow<Result<std::shared_ptr<Hold>>> Leases::take(std::string name) {
  const Instant begin = co_await now();
  for (bool waits = false;; waits = true) {
    std::function<void()> on_lost = [this] { lost_.set(); };
    Result<std::shared_ptr<Hold>> hold = co_await store_.acquire(name, std::move(on_lost));
    if (!hold) co_return hold.error();
    if (*hold) {
      holds_.push_back(*hold);
      co_return hold;
    }
    const Instant instant = co_await now();
    const auto left = options_.patience - std::chrono::ceil<seconds>(instant.steady - begin.steady);
    if (left <= seconds(0)) {
      co_return Error(Errc::held, "waiting for the lease " + name,
                      "another process holds it; try again when that has finished");
    }
    if (!waits && options_.on_wait) {
      const Result<void> told = guarded_call(
          [&] {
            options_.on_wait(name, options_.patience);
            return Result<void>();
          },
          "telling of the wait for a lease");
      if (!told) co_return told.error();
    }
    Result<void> waited = co_await wait(std::min(left, between_acquisitions));
    if (!waited) co_return waited.error();
  }
}

Flow<Result<void>> Leases::release_all() {
  for (const std::shared_ptr<Hold>& hold : holds_) {
    Result<void> released = co_await store_.release(hold);
  }
  holds_.clear();
  co_return Result<void>();
}

std::string Leases::lost_one() const {
  const auto lost = std::ranges::find_if(holds_, [](const std::shared_ptr<Hold>& hold) { return hold->lost; });
  return lost == holds_.end() ? std::string() : (*lost)->lease.name;
}

Error lease_was_lost(const std::string& name) {
  return Error(Errc::fenced, "changing what is below " + name,
               "the lease was lost to another process; the same call again finishes what was begun");
}

Result<void> check_lease_options(const LeaseOptions& options) {
  if (!options.owner.empty()) return {};
  return Error(Errc::invalid_argument, "changing what is in storage", "LeaseOptions::owner is empty");
}

Flow<Result<std::vector<StoredItem>>> list_all(Store& store, std::string prefix, bool with_values) {
  std::vector<StoredItem> all;
  std::string after;
  for (;;) {
    Result<std::vector<StoredItem>> some = co_await store.list(prefix, after, with_values);
    if (!some) co_return some.error();
    if (!some->empty()) after = some->back().key;
    const bool is_end = some->size() < page;
    std::move(some->begin(), some->end(), std::back_inserter(all));
    if (is_end) co_return all;
  }
}

Flow<Result<std::optional<StoredValue>>> load_one_of(Store& store, std::string key) {
  std::vector<std::string> keys(1, std::move(key));
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store.load(std::move(keys));
  if (!loaded) co_return loaded.error();
  co_return std::move(loaded->front());
}

Flow<Result<Revision>> write_one_of(Store& store, Write write, std::shared_ptr<Hold> hold) {
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Revision>> written = co_await store.write(std::move(writes), std::move(hold));
  if (!written) co_return written.error();
  co_return written->front();
}

bool is_same_key(const std::string& one_pem, const std::string& other_pem) {
  if (one_pem == other_pem) return true;
  const Result<bool> same =
      result_of([&] { return PrivateKey::from_pem(one_pem).same_key_as(PrivateKey::from_pem(other_pem)); });
  return same && *same;
}

Flow<Result<std::string>> keep_unused_key(Store& store, std::string key_pem) {
  const std::string doing = "keeping a key that could still be needed";
  const std::string name = name_of_key(key_pem);
  Result<std::vector<StoredItem>> there = co_await list_all(store, std::string(unused_keys), false);
  if (!there) co_return there.error().while_doing(doing);
  for (const StoredItem& item : *there) {
    if (!item.key.ends_with("-" + name)) continue;
    Result<std::optional<StoredValue>> kept = co_await load_one_of(store, item.key);
    if (kept && *kept && is_same_key((*kept)->value, key_pem)) co_return item.key;
  }
  const Instant instant = co_await now();
  const std::string key = unused_key_of(key_time_text(instant.wall), name);
  Write write(key, std::move(key_pem));
  Result<Revision> written = co_await write_one_of(store, std::move(write), nullptr);
  if (!written) co_return written.error().while_doing(doing);
  co_return key;
}

const Reporter& no_reporter() {
  static const Reporter none{ManagerOptions()};
  return none;
}

}  // namespace culmen::manager
