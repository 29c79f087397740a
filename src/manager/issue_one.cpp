// Issuing one certificate: what was decided is checked again under the lease, what is stored comes before what is sent.
#include <algorithm>
#include <utility>

#include "manager/issuance.hpp"
#include "manager/leases.hpp"
#include "manager/left_out.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
using Kind = planner::Action::Kind;

std::string emergency_in_words(const Entry& entry) {
  return entry.key_compromised ? "revoked: its key is compromised" : "revoked";
}
}  // namespace

// ---- The lease ----

Flow<Result<void>> ManagerCore::issue(JobPointer job) {
  const std::string id = job->entry->id;
  std::function<void()> on_lost = [this, job] {
    if (nursery_) nursery_->cancel(job->child);
  };
  Result<std::shared_ptr<Hold>> hold = co_await store_.acquire(certificate_lease(id), std::move(on_lost));
  const Instant instant = co_await now();
  if (!hold) {
    const std::lock_guard lock(mutex_);
    summary_.failed.insert_or_assign(id, hold.error());
    co_return hold.error();
  }
  if (!*hold) {
    const std::lock_guard lock(mutex_);
    job->entry->held_until = instant.wall + held_pause(*job->entry);
    summary_.held_elsewhere.push_back(id);
    co_return Result<void>();
  }
  std::optional<Issuance> trying;
  Result<void> outcome;
  std::size_t most_tries = 1;
  for (std::size_t tries = 0; tries < most_tries; ++tries) {
    trying.emplace(job->entry, *hold);
    trying->tries_all = tries == 0;
    std::function<Flow<Result<void>>()> make = [this, &trying] { return issue_under_lease(*trying); };
    outcome = co_await guarded<void>(std::move(make), "");
    if (!trying->left_some_out || (*hold)->lost) break;
    most_tries = trying->names.size();  // each is for fewer names
  }
  Issuance& issuance = *trying;
  if ((*hold)->lost) {
    ManagerEvent event =
        make_event(ManagerEvent::Kind::lease_lost, instant.wall, "its lease was lost while it was issued");
    event.id = id;
    reporter_.say(event);
  }
  Result<void> released = co_await store_.release(*hold);
  // The plan may have expected another order, such as one that names its predecessor.
  if (issuance.limited_until) job->again_at = std::min(*issuance.limited_until, job->action.wake_at);
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = *job->entry;
    if ((*hold)->lost) entry.held_until = instant.wall + held_pause(entry);
    if (issuance.ca) {
      const auto health = cas_.health.find(issuance.ca->directory);
      if (health != cas_.health.end()) health->second.probing = false;
    }
    for (const std::shared_ptr<Waiter>& waiter : entry.waiting) {
      if (!outcome) waiter->error = outcome.error();
      waiter->event.set();
    }
    entry.waiting.clear();
  }
  co_return outcome;
}

Flow<Result<void>> ManagerCore::issue_under_lease(Issuance& issuance) {
  Entry& entry = *issuance.entry;
  std::vector<std::string> keys{certificate_record_key(entry.id), pending_order_key(entry.id)};
  Result<std::vector<Result<std::optional<StoredValue>>>> loaded = co_await store_.load_each(std::move(keys));
  if (!loaded) co_return co_await fail(issuance, loaded.error());
  const Result<std::optional<StoredValue>>& stored = (*loaded)[0];
  const Instant instant = co_await now();

  // Somebody else may have renewed it, or tried, since it was last looked at: decide again.
  std::vector<ManagerEvent> events;
  bool readable = false, due = false;
  {
    const std::lock_guard lock(mutex_);
    readable = adopt(issuance.entry, stored, instant.wall, events);
    if (readable) issuance.action = decision(entry, instant.wall);
    due = readable && issuance.action.kind == Kind::issue;
    if (due) issuance.ca = cas_.find(issuance.action.ca);
    issuance.wanted = entry.wanted;
    issuance.type = entry.type;
    issuance.outdated = entry.outdated;
    issuance.may_be_worse = entry.emergency || entry.outdated || !entry.forced.empty();
    issuance.key_compromised = entry.key_compromised;
    const bool all = issuance.tries_all && !entry.forced.empty();
    issuance.names = all                        ? issuance.spec().names
                     : issuance.action.left_out ? names_to_try(issuance.spec(), entry.left_out, instant.wall)
                                                : remaining_names(issuance.spec(), entry.left_out);
    if (due && issuance.action.probe) cas_.health[issuance.action.ca].probing = true;
  }
  say_all(events);
  if (!readable) co_return Result<void>();
  // Of several key types, the first is the one that is made known.
  const bool is_first = certificate_ids(issuance.spec()).front() == entry.id;
  const bool is_gone = options_.only_recorded && is_first && !*stored;
  {
    const std::lock_guard lock(mutex_);
    entry.is_gone = is_gone;
  }
  if (is_gone) {
    issuance.limited_until = instant.wall + std::chrono::hours(1);  // it may come back
    co_return Result<void>();
  }
  if (*stored) {
    Result<CertificateRecord> record = decode_certificate_record((*stored)->value);
    if (record) issuance.record = std::move(*record);
    issuance.revision = (*stored)->revision;
  }
  if (const Result<std::optional<StoredValue>>& order = (*loaded)[1]; !order || *order) {
    const std::string pending_key = pending_order_key(entry.id);
    Result<PendingOrder> pending = order ? decode_pending_order((*order)->value) : Result<PendingOrder>(order.error());
    if (!pending) co_return co_await fail(issuance, pending.error().while_doing("reading " + pending_key));
    issuance.pending = std::move(*pending);
  }
  if (issuance.record.live > 0 && issuance.pending) {
    std::vector<std::string> live_key(1, generation_key(entry.id, issuance.record.live));
    Result<std::vector<Result<std::optional<StoredValue>>>> live = co_await store_.load_each(std::move(live_key));
    if (!live) co_return co_await fail(issuance, live.error());
    if (live->front() && *live->front()) {
      Result<Generation> generation = decode_generation((*live->front())->value);
      if (generation) issuance.live = std::move(*generation);
    }
  }
  if (!due) {
    // What is left of the order that is live already must not be resumed, now or later.
    if (issuance.pending && issuance.live && is_same_key(issuance.pending->key_pem, issuance.live->key_pem)) {
      Result<void> dropped = co_await drop_pending(issuance, false);
      co_return dropped;
    }
    co_return Result<void>();
  }
  bool must_mark = false;
  {
    const std::lock_guard lock(mutex_);
    must_mark = entry.must_mark;
  }
  if (must_mark) {
    // Before anything is asked of the CA, which may be down.
    Result<void> marked = co_await store_mark(issuance);
    if (!marked) co_return co_await fail(issuance, marked.error());
  }
  if (!seams_.issue) {
    Result<Account> account = co_await cas_.account(*issuance.ca);
    if (!account) co_return co_await fail(issuance, account.error());
    issuance.account = *account;
  } else {
    issuance.account.emplace();
  }
  Result<void> ledger = co_await cas_.load_ledger(*issuance.ca, issuance.account->url);
  if (!ledger) co_return co_await fail(issuance, ledger.error());
  {
    const std::lock_guard lock(mutex_);
    // With what other processes have used of the limits.
    if (is_limited(entry, *issuance.ca, instant.wall, issuance.action.left_out)) co_return Result<void>();
  }
  Result<void> prepared = co_await prepare_pending(issuance);
  if (!prepared) co_return co_await fail(issuance, prepared.error());
  Result<IssueRequest> request = co_await prepare_request(issuance);
  if (!request) co_return co_await fail(issuance, request.error());
  Result<void> agreed = co_await ask_program(issuance, *request);
  if (!agreed) co_return co_await fail(issuance, agreed.error());
  Result<void> safe = co_await refuse_compromised_key(issuance, *request);
  if (!safe) co_return co_await fail(issuance, safe.error());

  // Nothing is ordered that could not be stored: this write shows whether it can.
  issuance.record.spec = issuance.spec();
  Result<void> probed = co_await write_record(issuance);
  if (!probed) co_return co_await fail(issuance, probed.error());
  co_return co_await order(issuance, std::move(*request));
}

// ---- Emergencies ----

Flow<Result<void>> ManagerCore::store_mark(Issuance& issuance) {
  Entry& entry = *issuance.entry;
  {
    const std::lock_guard lock(mutex_);
    issuance.record.emergency = emergency_in_words(entry);
    issuance.record.key_compromised = issuance.record.key_compromised || entry.key_compromised;
  }
  Result<void> written = co_await write_record(issuance);
  if (!written) co_return written;
  const std::lock_guard lock(mutex_);
  entry.must_mark = false;
  co_return Result<void>();
}

/// Those that were asked for right before the end.
Flow<Result<void>> ManagerCore::mark_emergencies() {
  std::vector<std::shared_ptr<Entry>> entries;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : catalogue_.entries()) {
      if (entry->must_mark) entries.push_back(entry);
    }
  }
  for (const std::shared_ptr<Entry>& entry : entries) {
    const auto job = std::make_shared<Job>(entry, planner::Action());
    Result<void> marked = co_await mark_emergency(job);
    if (!marked && marked.error().code() == Errc::cancelled) co_return marked;
  }
  co_return Result<void>();
}

/// Stores that the certificate has to be replaced, when that cannot be done at once.
Flow<Result<void>> ManagerCore::mark_emergency(JobPointer job) {
  Entry& entry = *job->entry;
  std::function<void()> on_lost = [this, job] {
    if (nursery_) nursery_->cancel(job->child);
  };
  Result<std::shared_ptr<Hold>> hold = co_await store_.acquire(certificate_lease(entry.id), std::move(on_lost));
  const Instant instant = co_await now();
  if (!hold || !*hold) {
    const std::lock_guard lock(mutex_);
    if (!store_.is_down()) entry.held_until = instant.wall + held_pause(entry);
    if (!hold) co_return hold.error();
    co_return Result<void>();
  }
  Issuance issuance(job->entry, *hold);
  std::vector<std::string> keys(1, certificate_record_key(entry.id));
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
  Result<void> outcome = loaded ? Result<void>() : Result<void>(loaded.error());
  if (outcome && loaded->front()) {
    Result<CertificateRecord> record = decode_certificate_record(loaded->front()->value);
    if (record) {
      issuance.record = std::move(*record);
      issuance.revision = loaded->front()->revision;
    } else {
      outcome = record.error().while_doing("reading " + certificate_record_key(entry.id));
    }
  }
  if (outcome) outcome = co_await store_mark(issuance);
  {
    const std::lock_guard lock(mutex_);
    if (!outcome && !store_.is_down()) entry.held_until = instant.wall + held_pause(entry);
  }
  Result<void> released = co_await store_.release(*hold);
  co_return outcome;
}

}  // namespace culmen::manager
