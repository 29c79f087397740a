#include "manager/store.hpp"

#include <algorithm>
#include <utility>

namespace culmen::manager {

namespace {
using std::chrono::milliseconds;
using std::chrono::seconds;

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
    : storage_(std::move(storage)), reporter_(reporter), owner_(std::move(owner)), ttl_(ttl) {}

Flow<Result<std::vector<std::optional<StoredValue>>>> Store::load(std::vector<std::string> keys) {
  const std::size_t size = keys.size();
  const std::string what = size == 0 ? "nothing" : keys.front() + (size > 1 ? " and others" : "");
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage_->load(std::move(keys));
  if (loaded && loaded->size() != size) {
    loaded = Error(Errc::bad_response, "reading " + what, "the storage returned another number of values");
  }
  Result<void> noted = co_await note(loaded);
  co_return loaded;
}

Flow<Result<std::vector<StoredItem>>> Store::list(std::string prefix, std::string after, bool with_values) {
  Result<std::vector<StoredItem>> listed =
      co_await storage_->list(std::move(prefix), std::move(after), 1000, with_values);
  Result<void> noted = co_await note(listed);
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
    Result<void> noted = co_await note(written);
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
      if (same) co_return revisions;
    }
    if ((is_conflict && expects) || tries == write_tries) co_return written;
    Result<void> waited = co_await wait(between_tries);
    if (!waited) co_return waited.error();
  }
}

Flow<Result<std::shared_ptr<Hold>>> Store::acquire(std::string name, std::function<void()> on_lost) {
  Result<std::optional<Lease>> acquired = co_await storage_->acquire(std::move(name), owner_, ttl_);
  Result<void> noted = co_await note(acquired);
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
    Result<void> noted = co_await note(renewed);
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

Flow<Result<void>> Store::note_error(const Error* error) {
  if (error && !is_storage_failure(*error)) co_return Result<void>();
  if (!error && !down_) co_return Result<void>();
  const Instant instant = co_await now();
  if (error) {
    ++failures_;
    postpone_retry(instant);
    if (std::exchange(down_, true)) co_return Result<void>();
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
