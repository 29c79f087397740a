// What other processes have changed, and what is stored from time to time.
#include <algorithm>
#include <utility>

#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
using std::chrono::seconds;

constexpr std::string_view certificates_prefix = "certificates/";
constexpr std::string_view record_name = "/record";
constexpr std::size_t page_size = 1000;
constexpr seconds storage_watch_patience = std::chrono::minutes(10);
// The pause between two searches grows as long as they find nothing: then the changes were those of this process. A
// certificate that another process has renewed is found when it is due here, too, so this is not the only way.
constexpr seconds shortest_scan_pause(2), longest_scan_pause(600);
constexpr std::size_t records_a_second = 100;
constexpr seconds ledger_pause(30);

/// The id of the certificate whose record has that key.
std::optional<std::string> id_of_record(std::string_view key) {
  if (!key.starts_with(certificates_prefix) || !key.ends_with(record_name)) return std::nullopt;
  key.remove_prefix(certificates_prefix.size());
  if (key.size() <= record_name.size()) return std::nullopt;
  return storage_part_text(key.substr(0, key.size() - record_name.size()));
}
}  // namespace

Flow<Result<void>> ManagerCore::look_in_storage(JobPointer job) {
  std::vector<std::string> keys(1, certificate_record_key(job->entry->id));
  Result<std::vector<Result<std::optional<StoredValue>>>> loaded = co_await store_.load_each(std::move(keys));
  if (!loaded) co_return loaded.error();
  const Instant instant = co_await now();
  std::vector<ManagerEvent> events;
  {
    const std::lock_guard lock(mutex_);
    job->entry->held_until.reset();
    adopt(job->entry, loaded->front(), instant.wall, events);
  }
  say_all(events);
  co_return Result<void>();
}

Flow<Result<void>> ManagerCore::watch_storage() {
  std::string cursor;
  planner::Duration pause = shortest_scan_pause;
  for (;;) {
    // While storage is down, an answer shows that it works again.
    const seconds time = store_.is_down() ? seconds(1) : storage_watch_patience;
    Result<std::string> next = co_await store_.storage().changed(std::string(certificates_prefix), cursor, time);
    Result<void> noted = co_await store_.note(next, Access::read);
    if (!next && next.error().code() == Errc::cancelled) co_return next.error();
    if (next && *next == cursor) continue;
    const Instant instant = co_await now();
    planner::Duration until_next = store_.until_retry(instant);
    if (next) {
      // Also the first time: what has changed since the records were read.
      Result<bool> found = co_await find_changes();
      if (!found && found.error().code() == Errc::cancelled) co_return found.error();
      if (found) {
        cursor = *next;
        const std::lock_guard lock(mutex_);
        const seconds shortest = std::max(shortest_scan_pause, seconds(catalogue_.entries().size() / records_a_second));
        pause = *found ? shortest
                       : std::clamp<planner::Duration>(pause * 2, shortest, std::max(longest_scan_pause, shortest));
        until_next = seams_.scan_pause ? *seams_.scan_pause : pause;
      }
    }
    Result<void> waited = co_await wait(std::chrono::ceil<std::chrono::milliseconds>(until_next));
    if (!waited) co_return waited;
  }
}

/// Compares revisions, and reads the records whose revision is another one, or that are gone. Whether there were any.
Flow<Result<bool>> ManagerCore::find_changes() {
  bool found = false;
  std::string after;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : catalogue_.entries()) entry->is_listed = entry->in_flight;
  }
  for (;;) {
    Result<std::vector<StoredItem>> page = co_await store_.list(std::string(certificates_prefix), after, false);
    if (!page) co_return page.error();
    std::vector<std::shared_ptr<Entry>> changed;
    std::vector<std::string> keys;
    {
      const std::lock_guard lock(mutex_);
      for (const StoredItem& item : *page) {
        const std::optional<std::string> id = id_of_record(item.key);
        std::shared_ptr<Entry> entry = id ? catalogue_.find(*id) : nullptr;
        if (entry) entry->is_listed = true;
        if (!entry || !entry->is_loaded || entry->in_flight || entry->revision == item.stored.revision) continue;
        changed.push_back(std::move(entry));
        keys.push_back(item.key);
      }
    }
    if (!changed.empty()) {
      found = true;
      Result<std::vector<Result<std::optional<StoredValue>>>> loaded = co_await store_.load_each(std::move(keys));
      if (!loaded) co_return loaded.error();
      const Instant instant = co_await now();
      std::vector<ManagerEvent> events;
      {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < changed.size(); ++i) {
          if (changed[i]->in_flight || changed[i]->is_removed) continue;
          adopt(changed[i], (*loaded)[i], instant.wall, events);
          catalogue_.wake(*changed[i], instant.wall);
        }
      }
      say_all(events);
      wake_.set();
    }
    if (page->size() < page_size) break;
    after = page->back().key;
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : catalogue_.entries()) {
    // Its record was removed: it is read again, and ordered if it is still wanted.
    if (entry->is_listed || entry->in_flight || !entry->is_loaded || entry->revision.none()) continue;
    catalogue_.mark_not_loaded(*entry);
    found = true;
  }
  if (found) wake_.set();
  co_return found;
}

// ---- Rate limits ----

Flow<Result<void>> ManagerCore::keep_ledgers() {
  for (;;) {
    Result<void> waited = co_await ledger_changed_.wait();
    if (!waited) co_return waited;
    waited = co_await wait(ledger_pause);
    if (!waited) co_return waited;
    Result<void> stored = co_await store_ledgers();
    if (stored) continue;
    if (stored.error().code() == Errc::cancelled) co_return stored;
    ledger_changed_.set();
  }
}

Flow<Result<void>> ManagerCore::store_ledgers() {
  Result<void> outcome;
  std::vector<Ca*> cas;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [directory, ca] : cas_.all()) cas.push_back(ca.get());
  }
  for (Ca* ca : cas) {
    Result<void> stored = co_await cas_.store_ledger(*ca);
    if (outcome && !stored) outcome = stored;
  }
  if (!outcome)
    reporter_.log(LogLevel::warning, outcome.error().while_doing("storing what was used of rate limits").what());
  co_return outcome;
}

}  // namespace culmen::manager
