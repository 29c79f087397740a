// Asking the CAs when to renew. A CA that does not answer never counts against a certificate.
#include <algorithm>
#include <utility>

#include "culmen/engine.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
using std::chrono::minutes;

constexpr std::chrono::seconds answer_limit(30);
constexpr std::chrono::hours longest_retry_after(24);
constexpr std::chrono::hours longest_pause(1);

bool same_window_as(const std::optional<RenewalInfo>& one, const std::optional<RenewalInfo>& other) {
  if (!one || !other) return one.has_value() == other.has_value();
  return one->window_start == other->window_start && one->window_end == other->window_end;
}

/// Whether the CA as such gives no answers, so that asking about other certificates is of no use.
bool is_about_ca(const Error& error) {
  return planner::failure_of(error) == planner::Failure::ca_unreachable ||
         planner::failure_of(error) == planner::Failure::rate_limited;
}
}  // namespace

Flow<Result<void>> ManagerCore::ask_renewal_info(JobPointer job) {
  Entry& entry = *job->entry;
  Ca* ca = nullptr;
  {
    const std::lock_guard lock(mutex_);
    ca = cas_.find(job->action.ca);
  }
  if (!ca) co_return Result<void>();
  const std::string record_key = certificate_record_key(entry.id);
  std::vector<std::string> keys{record_key, generation_key(entry.id, entry.live)};
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
  if (!loaded) co_return loaded.error();
  const std::optional<StoredValue>& stored = (*loaded)[0];
  const Instant begun = co_await now();
  const std::uint64_t live = entry.live;
  std::vector<ManagerEvent> events;
  bool asks = false;
  {
    const std::lock_guard lock(mutex_);
    const RenewalState before = entry.renewal;
    asks = adopt(job->entry, stored, begun.wall, events) && stored && entry.live == live && live > 0;
    // What was not stored, for lack of a working storage, still counts.
    if (asks && before.next_check > entry.renewal.next_check) entry.renewal = before;
    // Another process may have asked meanwhile.
    asks = asks && decision(entry, begun.wall).kind == planner::Action::Kind::ask_renewal_info;
  }
  say_all(events);
  if (!asks) co_return Result<void>();
  if (job->action.probe) {
    const std::lock_guard lock(mutex_);
    cas_.health[ca->directory].probing = true;
  }
  Result<CertificateRecord> record = decode_certificate_record(stored->value);
  if (!record) co_return record.error();

  Result<RenewalInfo> answer = Error(Errc::not_offered, "asking the CA when to renew", "");
  if (seams_.renewal_info) {
    answer = co_await seams_.renewal_info(ca->directory, record->certificate_id);
  } else if ((*loaded)[1] && !seams_.issue) {
    Result<Generation> generation = decode_generation((*loaded)[1]->value);
    if (!generation) co_return generation.error().while_doing("reading " + generation_key(entry.id, live));
    Result<engine::Session> session = co_await cas_.session(*ca);
    if (session) {
      Flow<Result<RenewalInfo>> asking = engine::get_renewal_info(*session, generation->chain_pem);
      answer = co_await with_deadline(std::move(asking), answer_limit, "asking the CA when to renew");
    } else {
      answer = session.error();
    }
  }
  if (!answer && answer.error().code() == Errc::cancelled) {
    const std::lock_guard lock(mutex_);
    cas_.health[ca->directory].probing = false;
    co_return answer.error();
  }
  const Instant instant = co_await now();
  const planner::Duration life = planner::lifetime(entry.not_before, entry.not_after);
  std::optional<RenewalInfo> info;
  if (answer) info = *answer;
  const std::optional<RenewalInfo> before = record->renewal.info;
  record->renewal = updated_renewal_state(record->renewal, info, instant.wall, random(), life);
  if (!answer && answer.error().retry_after()) {
    const planner::Time asked =
        instant.wall + std::min<std::chrono::seconds>(*answer.error().retry_after(), longest_retry_after);
    record->renewal.next_check = std::max(record->renewal.next_check.value_or(asked), asked);
  }
  {
    const std::lock_guard lock(mutex_);
    entry.renewal = record->renewal;
    entry.asks_again_at = record->renewal.next_check.value_or(instant.wall);
    // An answer shows that the CA works. No answer says nothing about orders, unless it was to be the sign of life.
    if (answer || answer.error().code() == Errc::not_offered) {
      update_health(*ca, planner::Failure::none, instant.wall);
    } else if (job->action.probe) {
      update_health(*ca, planner::Failure::ca_unreachable, instant.wall);
    }
    if (answer) {
      ca->offers_renewal_info = true;
      ca->renewal_info_failures = 0;
    } else if (answer.error().code() == Errc::not_offered) {
      ca->offers_renewal_info = false;
    } else if (is_about_ca(answer.error())) {
      const unsigned doublings = std::min(ca->renewal_info_failures++, 6U);
      ca->no_renewal_info_until =
          instant.wall + std::min<planner::Duration>(minutes(1) * (1U << doublings), longest_pause);
    }
  }
  say_ca_events();
  if (!answer) {
    reporter_.log(LogLevel::debug, entry.id + ": " + answer.error().what());
  } else if (!same_window_as(before, info)) {
    ManagerEvent event = make_event(ManagerEvent::Kind::renewal_info_changed, instant.wall);
    event.id = entry.id;
    event.ca = ca->directory;
    event.not_after = entry.not_after;
    {
      const std::lock_guard lock(mutex_);
      const planner::Action action = decision(entry, instant.wall);
      event.detail = action.reason;
      event.next = action.wake_at;
    }
    reporter_.say(event);
  }
  // Without the lease: it is only a hint. If the record has changed meanwhile, that counts.
  Write write(record_key, encode(*record));
  write.expected = stored->revision;
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), nullptr);
  if (!written) co_return written.error();
  const std::lock_guard lock(mutex_);
  if (entry.live == live) entry.revision = written->front();
  co_return Result<void>();
}

}  // namespace culmen::manager
