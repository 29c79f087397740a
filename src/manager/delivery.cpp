// What counts from now on goes to the sink.
#include <algorithm>
#include <utility>

#include "culmen/certificate.hpp"
#include "culmen/private_key.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
using std::chrono::seconds;

/// PEM texts stay in memory as long as there are no more certificates than these.
constexpr std::size_t most_cached = 1000;
constexpr std::size_t delivered_together = 100;
constexpr seconds first_retry(30);
constexpr seconds last_retry = std::chrono::hours(1);
constexpr seconds longest_wait(60);
constexpr seconds storage_pause(5);

/// With a certificate and a key that belong together; those of a seam need not be real.
Result<Generation> usable_generation(const std::string& value, const std::string& key, bool is_real) {
  Result<Generation> generation = decode_generation(value);
  if (!generation) return generation.error().while_doing("reading " + key);
  if (!is_real) return generation;
  const Result<bool> matches = result_of(
      [&] { return Certificate::from_pem(generation->chain_pem).matches(PrivateKey::from_pem(generation->key_pem)); });
  if (!matches) return matches.error().while_doing("reading " + key);
  if (!*matches) return Error(Errc::crypto_failed, "reading " + key, "the key belongs to another certificate");
  return generation;
}

Flow<Result<void>> wait_for_delivery(std::chrono::milliseconds duration) {
  Result<void> waited = co_await wait(duration);
  co_return waited;
}
}  // namespace

/// With the mutex locked.
void ManagerCore::counts_from_now_on(const std::shared_ptr<Entry>& entry) {
  if (entry->live == 0) return;
  const bool is_kept = catalogue_.entries().size() <= most_cached;
  if (!options_.installed && (!is_kept || entry->cached)) {
    entry->set_delivered();
    if (!is_kept) entry->cached.reset();
    return;
  }
  deliveries_.try_emplace(entry);
  deliver_.set();
}

/// Until something may be ready that is not now; at most a minute. nullopt: nothing is waiting.
std::optional<planner::Duration> ManagerCore::until_next_delivery(planner::Time now) const {
  const std::lock_guard lock(mutex_);
  if (deliveries_.empty()) return std::nullopt;
  planner::Duration duration = longest_wait;
  for (const auto& [entry, delivery] : deliveries_) {
    if (delivery.not_before > now) duration = std::min(duration, delivery.not_before - now);
  }
  return duration;
}

/// With the mutex locked: the certificates of one spec go together, so one waits while another is worked on.
bool ManagerCore::is_wanted_by_sink(const Entry& entry) const {
  if (entry.is_removed || entry.live == 0 || entry.is_delivered()) return false;
  return std::ranges::none_of(entry.wanted->ids, [&](const std::string& id) {
    const std::shared_ptr<Entry> other = catalogue_.find(id);
    // One that has just been issued is in flight, too, and goes along.
    return other && other.get() != &entry && other->in_flight && other->is_delivered();
  });
}

Flow<Result<void>> ManagerCore::deliver(Mode mode) {
  for (;;) {
    Result<bool> some = co_await deliver_some();
    if (!some && some.error().code() == Errc::cancelled) co_return some.error();
    if (some && *some) continue;
    if (mode == Mode::once) {
      if (!some) co_return some.error();
      co_return Result<void>();
    }
    const Instant instant = co_await now();
    std::optional<planner::Duration> pause = until_next_delivery(instant.wall);
    if (!some) pause = storage_pause;
    std::vector<Flow<Result<void>>> either;
    either.push_back(deliver_.wait());
    if (pause) either.push_back(wait_for_delivery(std::chrono::ceil<std::chrono::milliseconds>(*pause)));
    First<Result<void>> first = co_await first_of(std::move(either));
    if (!first.result) co_return first.result;
  }
}

/// Reads the record again. Whether the generation that was to be delivered is still the one that counts.
Flow<Result<bool>> ManagerCore::still_counts(std::shared_ptr<Entry> entry) {
  std::vector<std::string> keys(1, certificate_record_key(entry->id));
  Result<std::vector<Result<std::optional<StoredValue>>>> loaded = co_await store_.load_each(std::move(keys));
  if (!loaded) co_return loaded.error();
  const Instant instant = co_await now();
  std::vector<ManagerEvent> events;
  bool counts = false;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t before = entry->live;
    counts = adopt(entry, loaded->front(), instant.wall, events) && entry->live == before;
    if (!counts && !entry->is_removed && !entry->in_flight) catalogue_.wake(*entry, instant.wall);
  }
  say_all(events);
  wake_.set();
  co_return counts;
}

/// Delivers some of what is ready. Whether anything was.
Flow<Result<bool>> ManagerCore::deliver_some() {
  const Instant instant = co_await now();
  std::vector<std::shared_ptr<Entry>> ready;
  std::vector<std::shared_ptr<const InstalledCertificate>> certificates;
  std::vector<std::string> keys;
  std::vector<planner::Time> until;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = deliveries_.begin(); at != deliveries_.end() && ready.size() < delivered_together;) {
      const std::shared_ptr<Entry>& entry = at->first;
      if (entry->is_removed || entry->live == 0 || entry->is_delivered()) {
        at = deliveries_.erase(at);
        continue;
      }
      if (at->second.not_before <= instant.wall && is_wanted_by_sink(*entry)) ready.push_back(entry);
      ++at;
    }
    // The certificates of one spec one after the other, the main one first.
    std::ranges::stable_sort(ready, [](const auto& one, const auto& other) {
      return std::pair(std::string_view(one->wanted->ids.front()), one->type) <
             std::pair(std::string_view(other->wanted->ids.front()), other->type);
    });
    for (const std::shared_ptr<Entry>& entry : ready) {
      certificates.push_back(entry->cached);
      until.push_back(entry->not_after);
      if (!entry->cached) keys.push_back(generation_key(entry->id, entry->live));
    }
  }
  if (ready.empty()) co_return false;
  std::vector<Result<std::optional<StoredValue>>> values;
  if (!keys.empty()) {
    Result<std::vector<Result<std::optional<StoredValue>>>> loaded = co_await store_.load_each(keys);
    if (!loaded) co_return loaded.error();
    values = std::move(*loaded);
  }
  std::size_t next = 0;
  for (std::size_t i = 0; i < ready.size(); ++i) {
    Result<void> outcome;
    if (!certificates[i]) {
      const std::string& key = keys[next];
      const Result<std::optional<StoredValue>>& value = values[next];
      ++next;
      if (value && !*value) {
        // Another process has removed the certificate meanwhile, or replaced it: then it is not delivered now.
        Result<bool> counts = co_await still_counts(ready[i]);
        if (!counts) co_return counts.error();
        if (!*counts) continue;
      }
      Result<Generation> generation =
          Error(Errc::io_failed, "reading " + key, "it is not in storage, although it counts");
      if (!value) generation = value.error();
      if (value && *value) generation = usable_generation((*value)->value, key, !seams_.issue);
      if (generation) {
        const auto certificate = std::make_shared<InstalledCertificate>();
        certificate->id = ready[i]->id;
        certificate->generation = ready[i]->live;
        certificate->chain_pem = std::move(generation->chain_pem);
        certificate->key_pem = std::move(generation->key_pem);
        certificates[i] = certificate;
      } else {
        outcome = generation.error().while_doing("installing " + printable(ready[i]->id, 200));
        const std::lock_guard lock(mutex_);
        replace_unusable(*ready[i], generation.error());
      }
    }
    if (outcome && options_.installed) {
      std::function<Result<void>()> install = [sink = options_.installed,
                                               certificate = certificates[i]]() -> Result<void> {
        sink(*certificate);
        return {};
      };
      outcome = co_await call(std::move(install));
      if (!outcome && outcome.error().code() == Errc::cancelled) co_return outcome.error();
    }
    const Instant after = co_await now();
    ManagerEvent event = make_event(outcome ? ManagerEvent::Kind::installed : ManagerEvent::Kind::failed, after.wall);
    event.id = ready[i]->id;
    {
      const std::lock_guard lock(mutex_);
      Entry& entry = *ready[i];
      if (entry.live > 0) event.not_after = entry.not_after;
      if (outcome) {
        const bool is_kept = catalogue_.entries().size() <= most_cached;
        const bool is_live = entry.live == certificates[i]->generation && entry.not_after == until[i];
        entry.cached = is_kept && is_live ? certificates[i] : nullptr;
        if (is_live) {
          entry.set_delivered();
          deliveries_.erase(ready[i]);
        }
      } else {
        Delivery& delivery = deliveries_[ready[i]];
        planner::Duration pause =
            std::min<planner::Duration>(first_retry * (1U << std::min(delivery.failures, 10U)), last_retry);
        pause = std::min(pause, planner::lifetime(entry.not_before, entry.not_after) / 20);
        delivery.not_before = after.wall + std::max<planner::Duration>(pause, seconds(1));
        event.failures = ++delivery.failures;
        event.next = delivery.not_before;
        event.detail = outcome.error().while_doing("installing the certificate").what();
        summary_.failed.try_emplace(entry.id, outcome.error());
      }
    }
    if (options_.installed || !outcome) reporter_.say(event);
  }
  co_return true;
}

}  // namespace culmen::manager
