// The order of an attempt: a new one, or that of an earlier run.
#include <algorithm>
#include <utility>

#include "base/time.hpp"
#include "culmen/attempt.hpp"
#include "culmen/engine.hpp"
#include "manager/issuance.hpp"
#include "manager/leases.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
std::string names_of_profiles(const Directory& directory) {
  std::string names;
  for (const auto& [name, description] : directory.meta.profiles)
    names += (names.empty() ? "" : ", ") + printable(name, 60);
  return names.empty() ? "none" : names;
}

using std::chrono::seconds;

constexpr seconds shortest_poll_deadline(5);
/// How far the clocks of the CA and of this machine may differ.
constexpr std::chrono::hours clock_tolerance(1);

/// The engine has checked the same; here it is also compared with the live certificate, and what a seam returns.
std::string fault_of(const IssuedCertificate& issued, const Issuance& issuance, planner::Time now) {
  const Certificate& leaf = issued.chain.leaf;
  const CertificateRecord& record = issuance.record;
  if (names_of(leaf.identifiers) != canonical_names(issuance.names)) return "its names are others";
  if (!issued.key) return "it has no key";
  if (!leaf.public_key_der.empty() && !leaf.matches(*issued.key)) return "it is for another key";
  if (leaf.not_before > now + clock_tolerance)
    return "it is not valid before " + base::format_rfc3339(leaf.not_before) + ": is the clock of this machine right?";
  if (leaf.not_after <= now)
    return "it expired on " + base::format_rfc3339(leaf.not_after) + ": is the clock of this machine right?";
  if (record.live > 0 && record.not_after && leaf.not_after <= *record.not_after && !issuance.may_be_worse &&
      !issuance.other_names())
    return "it expires no later than the one that is there, on " + base::format_rfc3339(leaf.not_after);
  return {};
}
}  // namespace

// ---- The order of an earlier run ----

/// Keeps the pending order only if it can be resumed.
Flow<Result<void>> ManagerCore::prepare_pending(Issuance& issuance) {
  if (!issuance.pending) co_return Result<void>();
  const PendingOrder& pending = *issuance.pending;
  const CertificateSpec& spec = issuance.spec();
  const bool has_key = !pending.key_pem.empty();
  // The live certificate's key: that order is finished. Resuming it would bring back an older certificate.
  const bool finished = has_key && issuance.live && is_same_key(pending.key_pem, issuance.live->key_pem);
  const bool fits = pending.server == issuance.ca->directory && pending.account == issuance.account->url &&
                    canonical_names(pending.names) == canonical_names(issuance.names) &&
                    pending.key_type == issuance.key_type() && pending.profile == spec.profile &&
                    pending.must_staple == spec.must_staple && !pending.order_url.empty();
  if (fits && !finished) co_return Result<void>();
  co_return co_await drop_pending(issuance, has_key && !finished);
}

Flow<Result<void>> ManagerCore::drop_pending(Issuance& issuance, bool keep_key) {
  if (keep_key) {
    Result<std::string> kept = co_await keep_unused_key(store_, issuance.pending->key_pem);
    if (!kept) co_return kept.error();
  }
  std::vector<Write> writes;
  writes.emplace_back(pending_order_key(issuance.entry->id));
  Result<std::vector<Revision>> removed = co_await store_.write(std::move(writes), issuance.hold);
  if (!removed) co_return removed.error();
  issuance.pending.reset();
  co_return Result<void>();
}

Flow<Result<void>> ManagerCore::store_pending(Issuance& issuance) {
  std::vector<Write> writes;
  writes.emplace_back(pending_order_key(issuance.entry->id), encode(*issuance.pending));
  Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), issuance.hold);
  if (written) co_return Result<void>();
  co_return written.error();
}

// ---- The order ----

Flow<Result<IssueRequest>> ManagerCore::prepare_request(Issuance& issuance) {
  const CertificateSpec& spec = issuance.spec();
  const std::string doing = "preparing the order for " + printable(issuance.entry->id, 200);
  Result<IssueRequest> request = result_of([&] { return IssueRequest(issuance.names); });
  if (!request) co_return request.error().while_doing(doing);
  request->key_type = issuance.key_type();
  request->csr_options.must_staple = spec.must_staple;
  request->preferred_chain = spec.preferred_chain;
  if (issuance.record.not_before && issuance.record.not_after) {
    // An order that hangs must not use up what is left of a short life: the next attempt goes on with it.
    const planner::Duration life = planner::lifetime(*issuance.record.not_before, *issuance.record.not_after);
    request->poll_deadline =
        std::clamp(std::chrono::duration_cast<seconds>(life / 8), shortest_poll_deadline, request->poll_deadline);
  }
  const bool same_account =
      issuance.record.account.empty() || issuance.record.account == issuance.account->url || seams_.issue;
  if (issuance.action.replaces && same_account) request->replaces = issuance.record.certificate_id;
  if (!spec.profile.empty()) {
    const bool offered = seams_.issue || issuance.ca->session->directory().meta.profiles.contains(spec.profile);
    if (!offered && spec.profile_required)
      co_return Error(Errc::not_offered, doing,
                      "the CA has no profile \"" + printable(spec.profile, 60) + "\"; it has " +
                          names_of_profiles(issuance.ca->session->directory()));
    if (offered) {
      request->profile = spec.profile;
    } else {
      const Instant instant = co_await now();
      ManagerEvent event =
          make_event(ManagerEvent::Kind::warning, instant.wall,
                     "the CA does not offer the profile \"" + printable(spec.profile, 60) + "\": ordered without it");
      event.id = issuance.entry->id;
      event.ca = issuance.ca->directory;
      reporter_.say(event);
    }
  }
  const bool compromised = issuance.record.key_compromised || issuance.key_compromised;
  if (issuance.pending) {
    request->resume_order = issuance.pending->order_url;
    if (!issuance.pending->key_pem.empty()) {
      Result<PrivateKey> key = result_of([&] { return PrivateKey::from_pem(issuance.pending->key_pem); });
      if (!key) co_return key.error().while_doing("reading " + pending_order_key(issuance.entry->id));
      request->key = *key;
    }
  } else if (spec.reuse_key && !compromised && issuance.record.live > 0 &&
             issuance.record.key_type == issuance.key_type()) {
    std::vector<std::string> keys(1, generation_key(issuance.entry->id, issuance.record.live));
    Result<std::vector<Result<std::optional<StoredValue>>>> live = co_await store_.load_each(keys);
    if (!live) co_return live.error();
    if (const Result<std::optional<StoredValue>>& stored = live->front(); stored && *stored) {
      Result<Generation> generation = decode_generation((*stored)->value);
      Result<PrivateKey> key = generation ? result_of([&] { return PrivateKey::from_pem(generation->key_pem); })
                                          : Result<PrivateKey>(generation.error());
      // A key that cannot be read is lost: there will be a new one.
      if (key) {
        request->key = *key;
        issuance.reuses_key = true;
      }
    }
  }
  co_return request;
}

/// What the program has to say about it.
Flow<Result<void>> ManagerCore::ask_program(Issuance& issuance, IssueRequest& request) {
  issuance.solvers = solvers_for(issuance.spec());
  if (!options_.prepare || seams_.issue) co_return Result<void>();
  const auto attempt = std::make_shared<Attempt>(issuance.entry->id, issuance.spec(), *issuance.account,
                                                 issuance.ca->session->directory(), std::move(request));
  attempt->solvers = options_.solvers;
  if (attempt->solvers.empty()) attempt->solvers.emplace_back(shared_from_this(), &own_solver_);
  std::function<Result<void>()> ask = [attempt, prepare = options_.prepare]() -> Result<void> {
    prepare(*attempt);
    return {};
  };
  Result<void> asked = co_await call(std::move(ask));
  if (!asked) co_return asked.error();
  request = attempt->request;
  issuance.attempt = attempt;
  issuance.solvers.clear();
  for (const std::shared_ptr<ChallengeSolver>& solver : attempt->solvers) issuance.solvers.push_back(solver.get());
  co_return Result<void>();
}

/// A key that the program brings must not be the one that was given away.
Flow<Result<void>> ManagerCore::refuse_compromised_key(const Issuance& issuance, const IssueRequest& request) {
  const bool compromised = issuance.record.key_compromised || issuance.key_compromised;
  if (!compromised || !request.key || issuance.record.live == 0) co_return Result<void>();
  std::vector<std::string> keys(1, generation_key(issuance.entry->id, issuance.record.live));
  Result<std::vector<Result<std::optional<StoredValue>>>> live = co_await store_.load_each(keys);
  if (!live) co_return live.error();
  const Result<std::optional<StoredValue>>& stored = live->front();
  if (!stored || !*stored) co_return Result<void>();
  const Result<Generation> generation = decode_generation((*stored)->value);
  if (!generation) co_return Result<void>();
  const Result<bool> same =
      result_of([&] { return Certificate::from_pem(generation->chain_pem).matches(*request.key); });
  if (!same || !*same) co_return Result<void>();
  co_return Error(Errc::invalid_argument, "preparing the order for " + printable(issuance.entry->id, 200),
                  "the key that it is to be issued for is compromised: the certificate was revoked for that reason; "
                  "use another key");
}

/// With the mutex locked: the CA's limits do not allow the order now.
bool ManagerCore::is_limited(const Entry& entry, const Ca& ca, planner::Time now, bool with_left_out) const {
  const std::map<std::string, planner::Time> allowed_at = situation(entry, now, with_left_out).allowed_at;
  const auto limited = allowed_at.find(ca.directory);
  return limited != allowed_at.end() && limited->second > now;
}

/// Counts a new order, as the CA will; sets `limited_until` if its limits do not allow it.
Flow<Result<void>> ManagerCore::count_order(Issuance& issuance, std::string replaces) {
  const Instant instant = co_await now();
  CountedOrder counted;
  counted.names = issuance.names;
  // To another CA it is a new order.
  counted.renewal = issuance.record.live > 0 && !issuance.outdated && !issuance.other_names() &&
                    issuance.record.server == issuance.ca->directory;
  const std::optional<RenewalInfo>& info = issuance.record.renewal.info;
  counted.ari_renewal = counted.renewal && !replaces.empty() && info && info->window_start <= instant.wall &&
                        instant.wall < info->window_end;
  // It was, before the attempt began, unless the CA does not accept `replaces`. It may have counted that order, too.
  if (issuance.counted && issuance.counted->ari_renewal == counted.ari_renewal) co_return Result<void>();
  const double reserve = counted.renewal ? 0 : reserve_for_renewals;
  Result<std::optional<planner::Time>> later =
      co_await cas_.count_order(*issuance.ca, issuance.account->url, counted, reserve, issuance.action.early);
  if (!later) co_return later.error();
  issuance.limited_until = *later;
  if (!*later) issuance.counted = counted;
  co_return Result<void>();
}

/// If what was to be resumed cannot be, or the CA does not accept `replaces`, the order is not counted yet.
Flow<Result<void>> ManagerCore::before_order(Issuance& issuance, std::string replaces) {
  Result<void> counted = co_await count_order(issuance, std::move(replaces));
  if (!counted) co_return counted;
  if (issuance.limited_until) {
    co_return Error(Errc::rate_limited, "ordering at " + issuance.ca->directory, "its limits do not allow it now");
  }
  // The process may have stood still meanwhile.
  co_return co_await store_.check_held(issuance.hold);
}

Flow<Result<void>> ManagerCore::order(Issuance& issuance, IssueRequest request) {
  Entry& entry = *issuance.entry;
  Ca& ca = *issuance.ca;
  if (request.resume_order.empty()) {
    // Others may have ordered since it was decided.
    Result<void> counted = co_await count_order(issuance, request.replaces);
    if (!counted) co_return co_await fail(issuance, counted.error());
    if (issuance.limited_until) co_return Result<void>();
  }
  const Instant begun = co_await now();
  request.before_order = [this, &issuance](std::string replaces) {
    return before_order(issuance, std::move(replaces));
  };
  request.store_order = [this, &issuance, replaces = request.replaces](std::string order_url) {
    if (!issuance.pending) issuance.pending.emplace();
    PendingOrder& pending = *issuance.pending;
    pending.order_url = std::move(order_url);
    pending.server = issuance.ca->directory;
    pending.account = issuance.account->url;
    pending.names = issuance.names;
    pending.key_type = issuance.key_type();
    pending.profile = issuance.spec().profile;
    pending.must_staple = issuance.spec().must_staple;
    pending.replaces = replaces;
    return store_pending(issuance);
  };
  request.store_key = [this, &issuance](PrivateKey key) {
    if (!issuance.pending) issuance.pending.emplace();
    issuance.pending->key_pem = key.to_pem();
    return store_pending(issuance);
  };
  request.on_progress = [this, &issuance, own = request.on_progress](const IssueProgress& progress) {
    if (progress.step == IssueProgress::Step::refused) issuance.refused = true;
    if (own) own(progress);
    reporter_.log(LogLevel::debug, issuance.entry->id + ": " + std::string(to_string(progress.step)) +
                                       (progress.subject.empty() ? "" : ": " + progress.subject));
  };
  ManagerEvent event = make_event(ManagerEvent::Kind::issuing, begun.wall,
                                  issuance.entry->forced.empty() ? issuance.action.reason : issuance.entry->forced);
  event.id = entry.id;
  event.ca = ca.directory;
  if (entry.live > 0) event.not_after = entry.not_after;
  reporter_.say(event);

  std::optional<Flow<Result<IssuedCertificate>>> issuing;
  if (seams_.issue) {
    issuing = seams_.issue(ca.directory, std::move(request));
  } else {
    issuing = engine::issue(*ca.session, *issuance.account, std::move(request), issuance.solvers);
  }
  Result<IssuedCertificate> issued = co_await std::move(*issuing);
  if (issuance.limited_until) co_return Result<void>();
  const Instant instant = co_await now();
  if (!issued) co_return co_await fail(issuance, issued.error());
  const std::string fault = fault_of(*issued, issuance, instant.wall);
  if (!fault.empty()) {
    issuance.refused = true;
    co_return co_await fail(issuance, Error(Errc::bad_response, "checking the new certificate", fault));
  }
  co_return co_await install(issuance, std::move(*issued));
}

}  // namespace culmen::manager
