#include "manager/cas.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "culmen/directory.hpp"
#include "culmen/engine.hpp"

namespace culmen::manager {

namespace {
std::vector<RateLimit> limits_of(const std::string& directory, const CaOptions& options) {
  if (!options.limits) return known_rate_limits(directory);
  for (const RateLimit& limit : *options.limits) {
    if (limit.capacity >= 1 && limit.window >= std::chrono::seconds(1)) continue;
    throw Error(Errc::invalid_argument, "making a manager",
                "the limit \"" + printable(limit.name, 60) + "\" of " + directory +
                    " must have a capacity of 1 or more, and a window of a second or more");
  }
  return *options.limits;
}

std::string checked_directory(const std::string& name_or_url) {
  std::string url = resolve_directory_url(name_or_url);
  if (url.starts_with("https://") || url.starts_with("http://")) return url;
  throw Error(Errc::invalid_argument, "making a manager",
              "\"" + printable(name_or_url, 200) + "\" is neither a directory URL nor the name of a CA");
}

/// A tenth at once, and the rest spread over the hour: together never more than `per_hour` in an hour.
std::vector<RateLimit> throttle_of(unsigned per_hour) {
  std::vector<RateLimit> throttle;
  if (per_hour == 0) return throttle;
  throttle.emplace_back();
  RateLimit& limit = throttle.back();
  limit.name = "culmen-emergencies";
  limit.capacity = std::max(1U, per_hour / 10);
  const double rest = std::max(1.0, per_hour - limit.capacity);
  limit.window = std::chrono::seconds(static_cast<std::int64_t>(std::ceil(limit.capacity * 3600 / rest)));
  return throttle;
}

std::vector<RateLimit> joined_limits(std::vector<RateLimit> limits, const std::vector<RateLimit>& more) {
  limits.insert(limits.end(), more.begin(), more.end());
  return limits;
}
}  // namespace

Ca::Ca(std::string directory_, CaOptions options_, const ManagerOptions& manager)
    : directory(std::move(directory_)),
      options(std::move(options_)),
      limits(limits_of(directory, options)),
      throttle(throttle_of(manager.emergency_per_hour)),
      all_limits(joined_limits(limits, throttle)),
      ledger(manager.public_suffixes) {}

Cas::Cas(const ManagerOptions& options, const Reporter& reporter, Store& store, std::mutex& mutex)
    : options_(options), reporter_(reporter), store_(store), mutex_(mutex) {
  std::vector<CaOptions> wanted = options.cas;
  if (wanted.empty()) {
    CaOptions lets_encrypt;
    lets_encrypt.directory = "letsencrypt";
    wanted.push_back(std::move(lets_encrypt));
  }
  for (CaOptions& ca : wanted) {
    const std::string directory = checked_directory(ca.directory);
    const auto [place, is_new] = cas_.try_emplace(directory, nullptr);
    if (!is_new) continue;
    place->second = std::make_unique<Ca>(directory, std::move(ca), options);
    preferred_.push_back(place->second.get());
  }
}

Ca& Cas::at(const std::string& name_or_url) {
  const std::string directory = checked_directory(name_or_url);
  std::unique_ptr<Ca>& place = cas_[directory];
  if (!place) {
    CaOptions options;
    options.directory = directory;
    place = std::make_unique<Ca>(directory, std::move(options), options_);
  }
  return *place;
}

Ca* Cas::find(const std::string& directory) noexcept {
  const auto found = cas_.find(directory);
  return found == cas_.end() ? nullptr : found->second.get();
}

Flow<Result<engine::Session>> Cas::session(Ca& ca) {
  if (ca.session) co_return *ca.session;
  const unsigned failures = ca.turn_failures;
  Result<Turn::Held> turn = co_await ca.turn.enter();
  if (!turn) co_return turn.error();
  if (!ca.session && ca.turn_failures != failures) co_return *ca.turn_error;
  Result<engine::Session> session = co_await connect(ca);
  if (!session) co_return failed_turn(ca, session.error());
  co_return session;
}

Error Cas::failed_turn(Ca& ca, Error error) {
  if (error.code() == Errc::cancelled) return error;
  ++ca.turn_failures;
  ca.turn_error = error;
  return error;
}

Flow<Result<engine::Session>> Cas::connect(Ca& ca) {
  if (ca.session) co_return *ca.session;
  Result<engine::Session> session = co_await engine::connect(ca.directory, options_.client.session);
  if (session) ca.session = *session;
  co_return session;
}

// ---- Rate limits ----

void Cas::note(Ca& ca, std::function<void(RateLedger&)> change) {
  constexpr std::size_t most_unstored = 1000;
  if (ca.limits.empty()) return;
  change(ca.ledger);
  if (ca.unstored.size() == most_unstored) ca.unstored.erase(ca.unstored.begin());
  ca.unstored.push_back(std::move(change));
}

Flow<Result<void>> Cas::load_ledger(Ca& ca, std::string account_url) {
  const std::string key = rates_key(ca.directory, account_url);
  if (ca.ledger_key == key || ca.limits.empty()) co_return Result<void>();
  Result<Turn::Held> turn = co_await ca.ledger_turn.enter();
  if (!turn) co_return turn.error();
  if (ca.ledger_key == key) co_return Result<void>();
  co_return co_await read_ledger(ca, key);
}

Flow<Result<void>> Cas::read_ledger(Ca& ca, std::string key) {
  std::vector<std::string> keys(1, key);
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
  if (!loaded) co_return loaded.error();
  const std::optional<StoredValue>& stored = loaded->front();
  RateLedger ledger(options_.public_suffixes);
  if (stored) {
    Result<RateLedger> read = RateLedger::from_json(stored->value, options_.public_suffixes);
    if (read) {
      ledger = std::move(*read);
    } else {
      reporter_.log(LogLevel::warning, read.error().while_doing("reading " + key).what());
    }
  }
  ca.ledger_revision = stored ? stored->revision : Revision();
  ca.ledger_key = std::move(key);
  ca.ledger_is_read = true;
  const std::lock_guard lock(mutex_);
  for (const std::function<void(RateLedger&)>& change : ca.unstored) change(ledger);
  ca.ledger = std::move(ledger);
  co_return Result<void>();
}

Flow<Result<std::optional<planner::Time>>> Cas::count_order(Ca& ca, std::string account_url, CountedOrder order,
                                                            double reserve, bool is_early) {
  const std::vector<RateLimit>& limits = is_early ? ca.all_limits : ca.limits;
  std::optional<planner::Time> later;
  if (limits.empty()) co_return later;
  LedgerChange change = [&](RateLedger& ledger, planner::Time now) {
    const planner::Time allowed_at = ledger.allowed_at(limits, order, now, reserve);
    later.reset();
    if (allowed_at > now) {
      later = allowed_at;
      return false;
    }
    ledger.count_order(limits, order, now);
    ledger.count_certificate(limits, order, now);
    return true;
  };
  Result<void> counted = co_await change_ledger(ca, rates_key(ca.directory, account_url), std::move(change));
  if (!counted) co_return counted.error().while_doing("counting an order at " + ca.directory);
  co_return later;
}

Flow<Result<void>> Cas::store_ledger(Ca& ca) {
  if (ca.unstored.empty() || ca.ledger_key.empty()) co_return Result<void>();
  LedgerChange change = [](RateLedger&, planner::Time) { return true; };
  co_return co_await change_ledger(ca, ca.ledger_key, std::move(change));
}

/// Reads and changes it, and writes it if nobody else has meanwhile; otherwise all over again.
Flow<Result<void>> Cas::change_ledger(Ca& ca, std::string key, LedgerChange change) {
  constexpr int most_tries = 10;
  Result<Turn::Held> turn = co_await ca.ledger_turn.enter();
  if (!turn) co_return turn.error();
  for (int tries = 1;; ++tries) {
    if (ca.ledger_key != key || !ca.ledger_is_read) {
      Result<void> read = co_await read_ledger(ca, key);
      if (!read) co_return read;
    }
    const Instant instant = co_await now();
    RateLedger changed;
    std::vector<std::function<void(RateLedger&)>> unstored;
    {
      const std::lock_guard lock(mutex_);
      changed = ca.ledger;
      const bool is_wanted = change(changed, instant.wall);
      if (!is_wanted || (ca.unstored.empty() && changed == ca.ledger)) co_return Result<void>();
      changed.prune(ca.all_limits, instant.wall);
      unstored.swap(ca.unstored);
    }
    Write write(key, changed.to_json(options_.owner + " " + std::to_string(++ledger_writes_)));
    write.expected = ca.ledger_revision;
    std::vector<Write> writes;
    writes.push_back(std::move(write));
    Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), nullptr);
    {
      const std::lock_guard lock(mutex_);
      if (written) {
        ca.ledger_revision = written->front();
        for (const std::function<void(RateLedger&)>& later : ca.unstored) later(changed);
        ca.ledger = std::move(changed);
        co_return Result<void>();
      }
      ca.unstored.insert(ca.unstored.begin(), unstored.begin(), unstored.end());
    }
    // After a failure it is not known what is stored, after a conflict it is something else.
    ca.ledger_is_read = false;
    if (written.error().code() != Errc::conflict || tries == most_tries) co_return written.error();
  }
}

}  // namespace culmen::manager
