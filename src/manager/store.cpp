#include "manager/store.hpp"

#include <algorithm>
#include <utility>

#include "manager/guarded_storage.hpp"

namespace culmen::manager {

namespace {
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view scratch_key = "scratch/manager";
constexpr int write_tries = 3;
constexpr seconds between_tries(1);
constexpr milliseconds release_limit(800);
constexpr seconds first_storage_retry(1), last_storage_retry(60);

/// Storage asks no guarded write to begin in the last sixth of the time to live.
std::chrono::steady_clock::time_point safe_until(const Lease& lease, seconds ttl) {
  return lease.good_until - std::chrono::duration_cast<std::chrono::steady_clock::duration>(ttl) / 6;
}

Error lost_lease(const Lease& lease) {
  return Error(Errc::fenced, "going on with " + lease.name, "the lease is lost, or ends too soon; nothing was changed");
}

Error wrong_number(const std::string& key) {
  return Error(Errc::bad_response, "reading " + key + " and others", "the storage returned another number of values");
}

bool same_as_stored(const Write& write, const std::optional<StoredValue>& stored) {
  return write.value ? stored && stored->value == *write.value : !stored;
}
}  // namespace

bool is_storage_failure(const Error& error) noexcept {
  switch (error.code()) {
    case Errc::conflict:
    case Errc::fenced:
    case Errc::invalid_argument:
    case Errc::cancelled: return false;
    default: return true;
  }
}

Store::Store(std::shared_ptr<Storage> storage, const Reporter& reporter, std::string owner, seconds ttl)
    : storage_(guarded_storage(std::move(storage))), reporter_(reporter), owner_(std::move(owner)), ttl_(ttl) {}

Flow<Result<std::vector<std::optional<StoredValue>>>> Store::load(std::vector<std::string> keys) {
  const std::size_t size = keys.size();
  const std::string what = size == 0 ? "nothing" : keys.front();
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage_->load(std::move(keys));
  if (loaded && loaded->size() != size) {
    loaded = wrong_number(what);
  }
  Result<void> noted = co_await note(loaded, Access::read);
  co_return loaded;
}

Flow<Result<std::vector<Result<std::optional<StoredValue>>>>> Store::load_each(std::vector<std::string> keys) {
  std::vector<Result<std::optional<StoredValue>>> found(keys.size(), std::optional<StoredValue>());
  // Halves of what cannot be read as a whole, until the damaged keys are alone.
  std::vector<std::pair<std::size_t, std::size_t>> ranges(1, {0, keys.size()});
  while (!ranges.empty()) {
    const auto [begin, end] = ranges.back();
    ranges.pop_back();
    const auto first = keys.begin() + static_cast<std::ptrdiff_t>(begin);
    std::vector<std::string> some(first, first + static_cast<std::ptrdiff_t>(end - begin));
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage_->load(some);
    if (loaded && loaded->size() == some.size()) {
      std::move(loaded->begin(), loaded->end(), found.begin() + static_cast<std::ptrdiff_t>(begin));
      continue;
    }
    if (loaded) loaded = wrong_number(some.front());
    if (loaded.error().code() == Errc::cancelled) co_return loaded.error();
    if (end - begin > 1) {
      const std::size_t middle = begin + (end - begin) / 2;
      ranges.emplace_back(begin, middle);
      ranges.emplace_back(middle, end);
      continue;
    }
    Result<bool> damaged = co_await is_damaged(some.front());
    if (!damaged || !*damaged) {
      Result<void> noted = co_await note(loaded, Access::read);
      co_return loaded.error();
    }
    found[begin] = loaded.error();
  }
  const Result<void> works;
  Result<void> noted = co_await note(works, Access::read);
  co_return found;
}

/// Storage itself works, and says that this value cannot be read.
Flow<Result<bool>> Store::is_damaged(std::string key) {
  std::string prefix = key.substr(0, key.rfind('/') + 1);
  Result<std::vector<StoredItem>> there = co_await storage_->list(std::move(prefix), std::string(), 1000, false);
  if (!there) co_return there.error();
  co_return std::ranges::any_of(*there,
                                [&](const StoredItem& item) { return item.key == key && item.stored.revision.none(); });
}

Flow<Result<std::vector<StoredItem>>> Store::list(std::string prefix, std::string after, bool with_values) {
  Result<std::vector<StoredItem>> listed =
      co_await storage_->list(std::move(prefix), std::move(after), 1000, with_values);
  Result<void> noted = co_await note(listed, Access::read);
  co_return listed;
}

Flow<Result<std::vector<Revision>>> Store::write(std::vector<Write> writes, std::shared_ptr<Hold> hold) {
  if (many_in_one()) co_return co_await write_together(std::move(writes), std::move(hold));
  std::vector<Revision> revisions;
  for (Write& write : writes) {
    std::vector<Write> one;
    one.push_back(std::move(write));
    Result<std::vector<Revision>> written = co_await write_together(std::move(one), hold);
    if (!written) co_return written.error();
    revisions.push_back(std::move(written->front()));
  }
  co_return revisions;
}

Flow<Result<void>> Store::check_held(std::shared_ptr<Hold> hold) {
  const Instant instant = co_await now();
  if (hold->lost || instant.steady >= safe_until(hold->lease, ttl_)) co_return lost_lease(hold->lease);
  co_return Result<void>();
}

Flow<Result<std::vector<Revision>>> Store::write_together(std::vector<Write> writes, std::shared_ptr<Hold> hold) {
  bool unknown = false;  // whether an earlier try has made the change
  for (int tries = 1;; ++tries) {
    if (hold) {
      Result<void> held = co_await check_held(hold);
      if (!held) co_return held.error();
      for (Write& write : writes) write.fence = hold->lease;
    }
    std::vector<Write> sent = writes;
    Result<std::vector<Revision>> written = co_await storage_->write(std::move(sent));
    if (written && written->size() != writes.size()) {
      written = Error(Errc::bad_response, "storing " + writes.front().key, "the storage returned no revisions");
    }
    Result<void> noted = co_await note(written, Access::write);
    if (written) co_return written;
    const bool is_conflict = written.error().code() == Errc::conflict;
    const bool expects = std::ranges::any_of(writes, [](const Write& write) { return write.expected.has_value(); });
    if (is_storage_failure(written.error()) || (is_conflict && !expects)) {  // with nothing it could conflict with
      unknown = true;
    } else if (!unknown || !is_conflict) {
      co_return written;
    }
    // The change may have been made all the same: compare before it is made again.
    std::vector<std::string> keys;
    for (const Write& write : writes) keys.push_back(write.key);
    Result<std::vector<std::optional<StoredValue>>> there = co_await load(std::move(keys));
    if (there) {
      bool same = true;
      std::vector<Revision> revisions;
      for (std::size_t i = 0; i < writes.size(); ++i) {
        same = same && same_as_stored(writes[i], (*there)[i]);
        revisions.push_back((*there)[i] ? (*there)[i]->revision : Revision());
      }
      if (same) {
        const Result<void> made;
        noted = co_await note(made, Access::write);
        co_return revisions;
      }
    }
    if ((is_conflict && expects) || tries == write_tries) co_return written;
    Result<void> waited = co_await wait(between_tries);
    if (!waited) co_return waited.error();
  }
}

Flow<Result<std::shared_ptr<Hold>>> Store::acquire(std::string name, std::function<void()> on_lost) {
  Result<std::optional<Lease>> acquired = co_await storage_->acquire(std::move(name), owner_, ttl_);
  Result<void> noted = co_await note(acquired, Access::lease);
  if (!acquired) co_return acquired.error();
  std::shared_ptr<Hold> hold;
  if (*acquired) {
    hold = std::make_shared<Hold>(std::move(**acquired), std::move(on_lost));
    holds_.push_back(hold);
    held_.set();
  }
  co_return hold;
}

Flow<Result<void>> Store::release(std::shared_ptr<Hold> hold) {
  holds_.remove(hold);
  if (hold->lost) co_return Result<void>();
  Flow<Result<void>> limited = with_deadline(storage_->release(hold->lease), release_limit, "releasing a lease");
  Result<void> released = co_await shielded(std::move(limited));
  // It ends by itself if that failed.
  if (!released) reporter_.log(LogLevel::debug, released.error().what());
  co_return Result<void>();
}

void Store::lose(Hold& hold) {
  if (std::exchange(hold.lost, true)) return;
  if (hold.on_lost) hold.on_lost();
}

void Store::lose_late(std::chrono::steady_clock::time_point now) {
  const std::list<std::shared_ptr<Hold>> holds = holds_;
  for (const std::shared_ptr<Hold>& hold : holds) {
    if (now >= safe_until(hold->lease, ttl_)) lose(*hold);
  }
}

Flow<Result<void>> Store::keep_leases() {
  for (;;) {
    Result<void> waited;
    if (holds_.empty()) {
      waited = co_await held_.wait();
      if (!waited) co_return waited;
    }
    const milliseconds pause = milliseconds(ttl_) / (is_down() ? 12 : 3);
    waited = co_await wait(pause);
    if (!waited) co_return waited;
    std::vector<std::shared_ptr<Hold>> holds;
    std::vector<Lease> leases;
    for (const std::shared_ptr<Hold>& hold : holds_) {
      if (hold->lost) continue;
      holds.push_back(hold);
      leases.push_back(hold->lease);
    }
    if (leases.empty()) continue;
    Result<std::vector<std::optional<Lease>>> renewed = co_await storage_->renew(std::move(leases), ttl_);
    if (!renewed && renewed.error().code() == Errc::cancelled) co_return renewed.error();
    Result<void> noted = co_await note(renewed, Access::lease);
    for (std::size_t i = 0; renewed && i < holds.size() && i < renewed->size(); ++i) {
      if ((*renewed)[i]) {
        holds[i]->lease = *(*renewed)[i];
      } else if (std::ranges::find(holds_, holds[i]) != holds_.end()) {  // otherwise it was released meanwhile
        lose(*holds[i]);
      }
    }
    const Instant instant = co_await now();
    lose_late(instant.steady);
  }
}

Flow<Result<void>> Store::keep_trying() {
  for (;;) {
    Result<void> waited;
    if (!down_) {
      waited = co_await went_down_.wait();
      if (!waited) co_return waited;
    }
    const Instant instant = co_await now();
    waited = co_await wait(std::chrono::ceil<milliseconds>(until_retry(instant)));
    if (!waited) co_return waited;
    const Instant later = co_await now();
    if (!down_ || failed_ != Access::write || !may_retry(later)) continue;
    postpone_retry(later);
    Write scratch{std::string(scratch_key), owner_}, removal{std::string(scratch_key)};
    Result<Revision> written = co_await write_one(*storage_, std::move(scratch));
    if (written) written = co_await write_one(*storage_, std::move(removal));
    if (!written && written.error().code() == Errc::cancelled) co_return written.error();
    Result<void> noted = co_await note(written, Access::write);
  }
}

void Store::postpone_retry(const Instant& now) {
  const unsigned doublings = std::min(failures_, 6U);
  retry_at_ = now.steady + std::min(first_storage_retry * (1U << doublings), last_storage_retry);
}

planner::Time Store::retry_at(const Instant& now) const noexcept {
  return now.wall + std::max<planner::Duration>(retry_at_ - now.steady, planner::Duration(0));
}

planner::Duration Store::until_retry(const Instant& now) const noexcept {
  return std::clamp<planner::Duration>(retry_at_ - now.steady, first_storage_retry, last_storage_retry);
}

Flow<Result<void>> Store::note_error(const Error* error, Access access) {
  if (error && !is_storage_failure(*error)) co_return Result<void>();
  // That it can be read is no news while it cannot be written to: a full disk would fail and recover in turn.
  if (!error && (!down_ || access < failed_)) co_return Result<void>();
  const Instant instant = co_await now();
  if (error) {
    ++failures_;
    postpone_retry(instant);
    failed_ = down_ ? std::max(failed_, access) : access;
    if (std::exchange(down_, true)) co_return Result<void>();
    went_down_.set();
    ManagerEvent event = make_event(ManagerEvent::Kind::storage_failed, instant.wall, error->what());
    event.next = retry_at(instant);
    reporter_.say(event);
  } else {
    failures_ = 0;
    down_ = false;
    reporter_.say(make_event(ManagerEvent::Kind::storage_recovered, instant.wall));
    if (on_recovered) on_recovered();
  }
  co_return Result<void>();
}

}  // namespace culmen::manager
