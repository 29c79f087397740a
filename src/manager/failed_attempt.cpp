// What is remembered of an attempt that failed: by its certificate, its CA, and the use of the CA's limits.
#include <algorithm>
#include <set>
#include <utility>

#include "base/time.hpp"
#include "manager/issuance.hpp"
#include "manager/left_out.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
/// The names whose validation failed, as far as the CA says so.
std::vector<std::string> failed_names(const Error& error, const std::vector<std::string>& all) {
  std::set<std::string> names;
  for (const Problem& problem : error.problems()) {
    if (problem.identifier) names.insert(problem.identifier->value);
    for (const Problem& part : problem.subproblems) {
      if (part.identifier) names.insert(part.identifier->value);
    }
  }
  if (names.empty()) return all;
  return {names.begin(), names.end()};
}

/// There will be no certificate of this order: it was refused, or is invalid now.
bool is_over(const Issuance& issuance, planner::Failure failure) {
  return !issuance.pending || failure == planner::Failure::validation;
}
}  // namespace

/// With the mutex locked.
void ManagerCore::update_health(Ca& ca, planner::Failure failure, planner::Time now) {
  planner::CaHealth& health = cas_.health[ca.directory];
  const bool was_closed = health.closed_until.has_value();
  health = planner::updated_health(health, failure, now);
  const bool is_closed = health.closed_until.has_value();
  if (was_closed == is_closed) return;
  ManagerEvent event = make_event(is_closed ? ManagerEvent::Kind::ca_closed : ManagerEvent::Kind::ca_open, now);
  event.ca = ca.directory;
  event.next = health.closed_until;
  event.failures = health.failures_in_a_row;
  ca_events_.push_back(std::move(event));
}

void ManagerCore::say_ca_events() {
  std::vector<ManagerEvent> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(ca_events_);
  }
  say_all(events);
}

/// With the mutex locked.
void ManagerCore::count_failure(Issuance& issuance, planner::Failure failure, const Error& error, planner::Time now) {
  Ca& ca = *issuance.ca;
  planner::Attempts& attempts = issuance.record.attempts[ca.directory];
  const unsigned before = attempts.in_a_row;
  attempts = planner::updated_attempts(attempts, failure, now, error.retry_after());
  // Another process has what is needed, such as a port: that passes, and is no reason to wait longer each time.
  if (error.code() == Errc::held) attempts.in_a_row = std::max(1U, before);
  issuance.record.last_error = error.what();
  issuance.entry->attempts = issuance.record.attempts;
  issuance.entry->last_error = issuance.record.last_error;
  update_health(ca, failure, now);
  const std::vector<std::string>& names = issuance.names;
  if (issuance.counted && is_over(issuance, failure)) {
    // CAs count the certificates that they issue. An order that comes to nothing must not use up what is left of a
    // week.
    Cas::note(ca, [&limits = ca.limits, order = *std::exchange(issuance.counted, {}), now](RateLedger& ledger) {
      ledger.return_certificate(limits, order, now);
    });
  }
  if (failure == planner::Failure::validation) {
    Cas::note(ca, [&limits = ca.limits, failed = failed_names(error, names), now](RateLedger& ledger) {
      for (const std::string& name : failed) ledger.count_failed_validation(limits, name, now);
    });
  }
  if (failure == planner::Failure::rate_limited && error.retry_after()) {
    // Most limits are about names. Two certificates in a row that are refused: it is about the account.
    const std::vector<std::string> whom = ++ca.refusals > 1 ? std::vector<std::string>() : names;
    Cas::note(ca, [whom, until = now + *error.retry_after(), now](RateLedger& ledger) {
      ledger.refuse_names_until(whom, until, now);
    });
  }
}

/// If the CA has refused some of the names, and others remain: records that they are left out, and returns true. The
/// order counts, and so does what failed, but nothing has to be waited for. Errors: those of storage.
Flow<Result<bool>> ManagerCore::leave_out(Issuance& issuance, planner::Failure failure, Error error) {
  const bool is_refusal = failure == planner::Failure::validation || failure == planner::Failure::ca_refused;
  if (!issuance.ca || !is_refusal || !issuance.spec().allow_subset) co_return false;
  const std::vector<std::string> refused = refused_names(error, issuance.names);
  if (refused.empty() || refused.size() >= issuance.names.size()) co_return false;
  const Instant instant = co_await now();
  const std::string last_error = issuance.record.last_error;
  {
    const std::lock_guard lock(mutex_);
    const auto attempts = issuance.record.attempts;
    count_failure(issuance, failure, error, instant.wall);
    issuance.record.attempts = issuance.entry->attempts = attempts;
    issuance.record.last_error = issuance.entry->last_error = last_error;
  }
  say_ca_events();
  std::vector<ManagerEvent> events;
  for (const std::string& name : refused) {
    LeftOutName& left_out = issuance.record.left_out[name];
    left_out = left_out_again(std::move(left_out), refusal_of(error, name), instant.wall);
    events.push_back(make_event(ManagerEvent::Kind::warning, instant.wall,
                                printable(name, 260) + " is left out of the certificate: " + left_out.why +
                                    "; it is tried again after " + base::format_rfc3339(left_out.next_try)));
    events.back().id = issuance.entry->id;
    events.back().ca = issuance.ca->directory;
  }
  say_all(events);
  Result<void> counted = co_await cas_.store_ledger(*issuance.ca);
  if (!counted) ledger_changed_.set();
  if (issuance.pending) {
    Result<void> dropped = co_await drop_pending(issuance, !issuance.pending->key_pem.empty());
    if (!dropped) co_return dropped.error();
  }
  // Without this in storage the next order would have the same names again.
  Result<void> written = co_await write_record(issuance);
  if (!written) co_return written.error();
  issuance.left_some_out = true;
  co_return true;
}

/// Remembers the failure, in storage if it works. Returns the error.
Flow<Result<void>> ManagerCore::fail(Issuance& issuance, Error error) {
  Entry& entry = *issuance.entry;
  const bool is_cancelled = error.code() == Errc::cancelled;
  const bool lost = issuance.hold->lost || error.code() == Errc::fenced;
  if (lost && !issuance.hold->lost) {
    issuance.hold->lost = true;  // the event says so
  }
  if (is_cancelled || lost) co_return error;
  if (error.code() == Errc::account_does_not_exist && issuance.ca) issuance.ca->account_is_gone = true;
  planner::Failure failure = planner::failure_of(error);
  // The order counts at the CA: whoever asks for another try at once would most likely use up one more.
  if (issuance.refused && failure == planner::Failure::ca_unreachable) failure = planner::Failure::bad_certificate;
  // An account that is gone is made again in the next attempt, which need not wait for long.
  if (error.code() == Errc::account_does_not_exist) failure = planner::Failure::ca_unreachable;
  if (failure == planner::Failure::ca_refused && issuance.ca && issuance.account && !seams_.issue) {
    // A signature with a key that counts no more is refused; CAs have several problem types for that.
    Result<bool> changed = co_await cas_.account_was_changed(*issuance.ca, *issuance.account);
    if (changed && *changed) {
      failure = planner::Failure::local;
      error = Error(Errc::conflict, "issuing, while another process changed the account's key", error.what());
    } else if (error.code() == Errc::unauthorized) {
      Result<bool> ended = co_await cas_.account_has_ended(*issuance.ca, *issuance.account);
      if (ended && *ended) error = cas_.ended_account(*issuance.ca);
    }
  }
  // Not the CA has to be waited for, but the operator, or the next attempt with a new account.
  if (issuance.ca && !issuance.ca->ended_account.empty()) failure = planner::Failure::local;
  if (Result<bool> goes_on = co_await leave_out(issuance, failure, error); !goes_on || *goes_on) {
    if (goes_on) co_return error;
    error = goes_on.error();
    failure = planner::failure_of(error);
  }
  // Then it is storage that is waited for. What the CA has said counts all the same.
  const bool by_storage = failure == planner::Failure::local && store_.is_down();
  const Instant instant = co_await now();
  ManagerEvent event = make_event(ManagerEvent::Kind::failed, instant.wall, error.what());
  event.id = entry.id;
  {
    const std::lock_guard lock(mutex_);
    summary_.failed.insert_or_assign(entry.id, error);
    entry.retries = false;
    if (!issuance.ca) {
      // Storage, before a CA was chosen: see may_use_storage().
      entry.last_error = error.what();
      if (!store_.is_down()) entry.held_until = instant.wall + held_pause(entry);
    } else {
      const planner::Attempts before = issuance.record.attempts[issuance.ca->directory];
      count_failure(issuance, failure, error, instant.wall);
      if (by_storage) issuance.record.attempts[issuance.ca->directory] = before;
      entry.attempts = issuance.record.attempts;
    }
    if (issuance.ca) {
      event.ca = issuance.ca->directory;
      event.failures = entry.attempts[issuance.ca->directory].in_a_row;
    }
    if (entry.live > 0) event.not_after = entry.not_after;
    event.next = by_storage ? store_.retry_at(instant) : decision(entry, instant.wall).wake_at;
  }
  reporter_.say(event);
  say_ca_events();
  if (issuance.ca) {
    // Before another process may take the certificate.
    Result<void> stored = co_await cas_.store_ledger(*issuance.ca);
    if (!stored) ledger_changed_.set();
  }
  if (!issuance.ca || by_storage) co_return error;
  if (issuance.pending && (issuance.refused || is_over(issuance, failure))) {
    Result<void> dropped = co_await drop_pending(issuance, !issuance.refused && !issuance.pending->key_pem.empty());
    if (!dropped) reporter_.log(LogLevel::warning, dropped.error().what());
  }
  Result<void> written = co_await write_record(issuance);
  if (!written) reporter_.log(LogLevel::warning, written.error().while_doing("remembering a failed attempt").what());
  co_return error;
}

}  // namespace culmen::manager
