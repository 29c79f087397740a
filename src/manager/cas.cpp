#include "manager/cas.hpp"

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
}  // namespace

Ca::Ca(std::string directory_, CaOptions options_, PublicSuffixes suffixes)
    : directory(std::move(directory_)),
      options(std::move(options_)),
      limits(limits_of(directory, options)),
      ledger(std::move(suffixes)) {}

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
    place->second = std::make_unique<Ca>(directory, std::move(ca), options.public_suffixes);
    preferred_.push_back(place->second.get());
  }
}

Ca& Cas::at(const std::string& name_or_url) {
  const std::string directory = checked_directory(name_or_url);
  std::unique_ptr<Ca>& place = cas_[directory];
  if (!place) {
    CaOptions options;
    options.directory = directory;
    place = std::make_unique<Ca>(directory, std::move(options), options_.public_suffixes);
  }
  return *place;
}

Ca* Cas::find(const std::string& directory) noexcept {
  const auto found = cas_.find(directory);
  return found == cas_.end() ? nullptr : found->second.get();
}

Flow<Result<engine::Session>> Cas::session(Ca& ca) {
  if (ca.session) co_return *ca.session;
  Result<Turn::Held> turn = co_await ca.turn.enter();
  if (!turn) co_return turn.error();
  co_return co_await connect(ca);
}

Flow<Result<engine::Session>> Cas::connect(Ca& ca) {
  if (ca.session) co_return *ca.session;
  Result<engine::Session> session = co_await engine::connect(ca.directory, options_.client.session);
  if (session) ca.session = *session;
  co_return session;
}

// ---- Rate limits ----

Flow<Result<void>> Cas::load_ledger(Ca& ca, std::string account_url) {
  if (ca.ledger_is_loaded || ca.limits.empty()) co_return Result<void>();
  std::vector<std::string> keys(1, rates_key(ca.directory, account_url));
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
  if (!loaded) co_return loaded.error();
  ca.ledger_is_loaded = true;
  if (const std::optional<StoredValue>& stored = loaded->front()) {
    ca.ledger_revision = stored->revision;
    Result<RateLedger> ledger = RateLedger::from_json(stored->value, options_.public_suffixes);
    if (ledger) {
      const std::lock_guard lock(mutex_);
      ca.ledger.merge(*ledger);
    } else {
      reporter_.log(LogLevel::warning,
                    ledger.error().while_doing("reading " + rates_key(ca.directory, account_url)).what());
    }
  }
  co_return Result<void>();
}

Flow<Result<void>> Cas::store_ledger(Ca& ca) {
  constexpr int tries = 3;
  if (ca.ledger_changes == 0 || ca.limits.empty()) co_return Result<void>();
  const std::string account = ca.account ? ca.account->url : std::string();
  const std::string key = rates_key(ca.directory, account);
  Result<void> outcome;
  for (int i = 0; i < tries; ++i) {
    std::vector<std::string> keys(1, key);
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
    if (!loaded) co_return loaded.error();
    const std::optional<StoredValue>& stored = loaded->front();
    const Instant instant = co_await now();
    unsigned changes = 0;
    Write write(key, std::string());
    {
      const std::lock_guard lock(mutex_);
      if (stored) {
        Result<RateLedger> other = RateLedger::from_json(stored->value, options_.public_suffixes);
        if (other) ca.ledger.merge(*other);
      }
      ca.ledger.prune(ca.limits, instant.wall);
      changes = ca.ledger_changes;
      write.value = ca.ledger.to_json();
    }
    write.expected = stored ? stored->revision : Revision();
    std::vector<Write> writes;
    writes.push_back(std::move(write));
    Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), nullptr);
    if (written) {
      const std::lock_guard lock(mutex_);
      ca.ledger_changes -= changes;
      co_return Result<void>();
    }
    outcome = written.error();
    if (written.error().code() != Errc::conflict) break;
  }
  co_return outcome;
}

}  // namespace culmen::manager
