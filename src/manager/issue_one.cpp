// Issuing one certificate: what was decided is checked again under the lease, what is stored comes before what is sent.
#include <algorithm>
#include <set>
#include <utility>

#include "base/time.hpp"
#include "culmen/attempt.hpp"
#include "culmen/engine.hpp"
#include "manager/leases.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
using Kind = planner::Action::Kind;
using std::chrono::seconds;

constexpr seconds longest_held_pause(30);
constexpr int write_record_tries = 3;
constexpr seconds shortest_poll_deadline(5);
/// How far the clocks of the CA and of this machine may differ.
constexpr std::chrono::hours clock_tolerance(1);

planner::Duration held_pause(const Entry& entry) {
  planner::Duration pause = longest_held_pause;
  if (entry.live > 0) pause = std::min(pause, planner::lifetime(entry.not_before, entry.not_after) / 20);
  return std::max<planner::Duration>(pause, seconds(1));
}

std::vector<std::string> names_of(const std::vector<Identifier>& identifiers) {
  std::vector<std::string> names;
  for (const Identifier& identifier : identifiers) names.push_back(identifier.value);
  return canonical_names(names);
}

/// The engine has checked the same; here it is also compared with the live certificate, and what a seam returns.
std::string fault_of(const IssuedCertificate& issued, const Issuance& issuance, planner::Time now) {
  const Certificate& leaf = issued.chain.leaf;
  const CertificateRecord& record = issuance.record;
  if (names_of(leaf.identifiers) != canonical_names(issuance.spec().names)) return "its names are others";
  if (!issued.key) return "it has no key";
  if (!leaf.public_key_der.empty() && !leaf.matches(*issued.key)) return "it is for another key";
  if (leaf.not_before > now + clock_tolerance)
    return "it is not valid before " + base::format_rfc3339(leaf.not_before) + ": is the clock of this machine right?";
  if (leaf.not_after <= now)
    return "it expired on " + base::format_rfc3339(leaf.not_after) + ": is the clock of this machine right?";
  if (record.live > 0 && record.not_after && leaf.not_after <= *record.not_after && !issuance.may_be_worse)
    return "it expires no later than the one that is there, on " + base::format_rfc3339(leaf.not_after);
  return {};
}

std::string json_text(const std::string& text) {
  std::string quoted = "\"";
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      quoted += "\\u00";
      quoted += digits[octet >> 4];
      quoted += digits[octet & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

/// Of a JSON object, without its braces.
std::string members_of(const std::string& object) {
  const std::size_t first = object.find('{'), last = object.rfind('}');
  if (first == std::string::npos || last == std::string::npos || last < first) return {};
  const std::string members = object.substr(first + 1, last - first - 1);
  return members.find_first_not_of(" \t\r\n") == std::string::npos ? std::string() : members;
}

/// As the program writes it.
std::string meta_of(const CertificateRecord& record, const IssuedCertificate& issued, const std::string& more) {
  std::string names;
  for (const std::string& name : record.names) names += (names.empty() ? "" : ",") + json_text(name);
  return "{\"server\":" + json_text(record.server) + ",\"account\":" + json_text(record.account) + ",\"names\":[" +
         names + "],\"key_type\":" + json_text(record.key_type) + ",\"order\":" + json_text(issued.order.url) +
         ",\"certificate\":" + json_text(issued.chain.url) + (more.empty() ? "" : "," + more) + "}";
}

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
  Issuance issuance(job->entry, *hold);
  std::function<Flow<Result<void>>()> make = [this, &issuance] { return issue_under_lease(issuance); };
  Result<void> outcome = co_await guarded<void>(std::move(make), "");
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
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
  if (!loaded) co_return co_await fail(issuance, loaded.error());
  const std::optional<StoredValue>& stored = (*loaded)[0];
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
    if (due && issuance.action.probe) cas_.health[issuance.action.ca].probing = true;
  }
  say_all(events);
  if (!readable) co_return Result<void>();
  if (stored) {
    Result<CertificateRecord> record = decode_certificate_record(stored->value);
    if (record) issuance.record = std::move(*record);
    issuance.revision = stored->revision;
  }
  if ((*loaded)[1]) {
    const std::string pending_key = pending_order_key(entry.id);
    Result<PendingOrder> pending = decode_pending_order((*loaded)[1]->value);
    if (!pending) co_return co_await fail(issuance, pending.error().while_doing("reading " + pending_key));
    issuance.pending = std::move(*pending);
  }
  if (issuance.record.live > 0 && issuance.pending) {
    std::vector<std::string> live_key(1, generation_key(entry.id, issuance.record.live));
    Result<std::vector<std::optional<StoredValue>>> live = co_await store_.load(std::move(live_key));
    if (!live) co_return co_await fail(issuance, live.error());
    if (live->front()) {
      Result<Generation> generation = decode_generation(live->front()->value);
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
    if (is_limited(entry, *issuance.ca, instant.wall)) co_return Result<void>();
  }
  Result<void> prepared = co_await prepare_pending(issuance);
  if (!prepared) co_return co_await fail(issuance, prepared.error());
  Result<IssueRequest> request = co_await prepare_request(issuance);
  if (!request) co_return co_await fail(issuance, request.error());
  Result<void> agreed = co_await ask_program(issuance, *request);
  if (!agreed) co_return co_await fail(issuance, agreed.error());

  // Nothing is ordered that could not be stored: this write shows whether it can. It also keeps an emergency.
  issuance.record.spec = issuance.spec();
  {
    const std::lock_guard lock(mutex_);
    if (entry.must_mark) {
      issuance.record.emergency = emergency_in_words(entry);
      issuance.record.key_compromised = issuance.record.key_compromised || entry.key_compromised;
    }
  }
  Result<void> probed = co_await write_record(issuance);
  if (!probed) co_return co_await fail(issuance, probed.error());
  {
    const std::lock_guard lock(mutex_);
    entry.must_mark = false;
  }
  co_return co_await order(issuance, std::move(*request));
}

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
                    canonical_names(pending.names) == canonical_names(spec.names) &&
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
  Result<IssueRequest> request = result_of([&] { return IssueRequest(spec.names); });
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
                      "the CA does not offer the profile \"" + printable(spec.profile, 60) + "\"");
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
    Result<std::vector<std::optional<StoredValue>>> live = co_await store_.load(keys);
    if (!live) co_return live.error();
    if (live->front()) {
      Result<Generation> generation = decode_generation(live->front()->value);
      if (!generation) co_return generation.error().while_doing("reading " + keys.front());
      Result<PrivateKey> key = result_of([&] { return PrivateKey::from_pem(generation->key_pem); });
      if (!key) co_return key.error().while_doing("reading " + keys.front());
      request->key = *key;
      issuance.reuses_key = true;
    }
  }
  co_return request;
}

/// What the program has to say about it.
Flow<Result<void>> ManagerCore::ask_program(Issuance& issuance, IssueRequest& request) {
  issuance.solvers = solvers_;
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

/// With the mutex locked: the CA's limits do not allow the order now.
bool ManagerCore::is_limited(const Entry& entry, const Ca& ca, planner::Time now) const {
  const std::map<std::string, planner::Time> allowed_at = situation(entry, now).allowed_at;
  const auto limited = allowed_at.find(ca.directory);
  return limited != allowed_at.end() && limited->second > now;
}

/// Counts a new order, as the CA will; sets `limited_until` if its limits do not allow it.
Flow<Result<void>> ManagerCore::count_order(Issuance& issuance, std::string replaces) {
  const Instant instant = co_await now();
  CountedOrder counted;
  counted.names = issuance.spec().names;
  // To another CA it is a new order.
  counted.renewal = issuance.record.live > 0 && !issuance.outdated && issuance.record.server == issuance.ca->directory;
  const std::optional<RenewalInfo>& info = issuance.record.renewal.info;
  counted.ari_renewal = counted.renewal && !replaces.empty() && info && info->window_start <= instant.wall &&
                        instant.wall < info->window_end;
  // It was, before the attempt began, unless the CA does not accept `replaces`. It may have counted that order, too.
  if (issuance.counted_by_ari == counted.ari_renewal) co_return Result<void>();
  const double reserve = counted.renewal ? 0 : reserve_for_renewals;
  Result<std::optional<planner::Time>> later =
      co_await cas_.count_order(*issuance.ca, issuance.account->url, counted, reserve, issuance.action.early);
  if (!later) co_return later.error();
  issuance.limited_until = *later;
  if (!*later) issuance.counted_by_ari = counted.ari_renewal;
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
    pending.names = issuance.spec().names;
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
  ManagerEvent event = make_event(ManagerEvent::Kind::issuing, begun.wall, issuance.action.reason);
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

// ---- The result ----

Flow<Result<void>> ManagerCore::write_record(Issuance& issuance) {
  return write_record(issuance, std::vector<Write>(), std::vector<Write>());
}

/// The record, and what must be stored before and after it: in one write, if storage can do that.
Flow<Result<void>> ManagerCore::write_record(Issuance& issuance, std::vector<Write> before, std::vector<Write> after) {
  const std::string key = certificate_record_key(issuance.entry->id);
  const bool together = store_.many_in_one();
  if (!together && !before.empty()) {
    Result<std::vector<Revision>> written = co_await store_.write(std::move(before), issuance.hold);
    if (!written) co_return written.error();
    before.clear();
  }
  const std::size_t at = before.size();
  for (int tries = 1;; ++tries) {
    Write record(key, encode(issuance.record));
    record.expected = issuance.revision;
    std::vector<Write> writes = before;
    writes.push_back(std::move(record));
    if (together) writes.insert(writes.end(), after.begin(), after.end());
    Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), issuance.hold);
    if (written) {
      issuance.revision = (*written)[at];
      {
        const std::lock_guard lock(mutex_);
        adopt_record(issuance.entry, issuance.record, issuance.revision);
      }
      if (together || after.empty()) co_return Result<void>();
      // What is left over is recognized as such, and removed the next time.
      Result<std::vector<Revision>> removed = co_await store_.write(std::move(after), issuance.hold);
      if (!removed) reporter_.log(LogLevel::warning, removed.error().what());
      co_return Result<void>();
    }
    if (written.error().code() != Errc::conflict || tries == write_record_tries) co_return written.error();
    // Somebody without the lease has changed it: an answer of the CA about renewal, or a mark. What we know of the
    // certificate counts; what is marked there stays.
    std::vector<std::string> keys(1, key);
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
    if (!loaded) co_return loaded.error();
    const std::optional<StoredValue>& stored = loaded->front();
    issuance.revision = stored ? stored->revision : Revision();
    if (!stored) continue;
    Result<CertificateRecord> there = decode_certificate_record(stored->value);
    if (!there) co_return there.error().while_doing("reading " + key);
    const std::uint64_t expected_live = issuance.entry->live;
    if (there->live != expected_live) co_return written.error();
    if (issuance.record.live == expected_live) {
      issuance.record.renewal = there->renewal;
      issuance.record.emergency = there->emergency;
      issuance.record.revoked = there->revoked;
      issuance.record.key_compromised = there->key_compromised || issuance.record.key_compromised;
    }
    issuance.record.unknown = there->unknown;
  }
}

Flow<Result<void>> ManagerCore::install(Issuance& issuance, IssuedCertificate issued) {
  Entry& entry = *issuance.entry;
  const Certificate& leaf = issued.chain.leaf;
  const Instant instant = co_await now();
  CertificateRecord record = issuance.record;
  const std::uint64_t replaced = record.live;
  record.names = names_of(leaf.identifiers);
  record.key_type = issuance.key_type();
  record.server = issuance.ca->directory;
  record.account = issuance.account->url;
  record.not_before = leaf.not_before;
  record.not_after = leaf.not_after;
  const Result<std::string> certificate = result_of([&] { return certificate_id(leaf); });
  record.certificate_id = certificate ? *certificate : std::string();
  record.renewal = RenewalState();
  record.dice = random();
  record.attempts.clear();
  record.attempts[record.server] = planner::updated_attempts(planner::Attempts(), planner::Failure::none, instant.wall);
  record.last_error.clear();
  record.emergency.clear();
  record.revoked.clear();
  record.key_compromised = false;

  Generation generation;
  generation.key_pem = issued.key->to_pem();
  generation.chain_pem = issued.chain_pem;
  generation.meta = meta_of(record, issued, issuance.attempt ? members_of(issuance.attempt->meta) : "");
  const Result<std::string> encoded = result_of([&] { return encode(generation); });
  if (!encoded) co_return co_await fail(issuance, encoded.error());

  // Two generations are kept. Others are of a crash, or older.
  const std::string prefix = certificate_lease(entry.id) + "/";
  Result<std::vector<StoredItem>> there = co_await store_.list(prefix, "", false);
  if (!there) co_return co_await fail(issuance, there.error());
  std::set<std::string> keys;
  for (const StoredItem& item : *there) keys.insert(item.key);
  std::uint64_t number = std::max(record.last_generation, replaced) + 1;
  while (keys.contains(generation_key(entry.id, number))) ++number;
  std::vector<Write> before, after;
  Write newest(generation_key(entry.id, number), *encoded);
  newest.expected = Revision();
  before.push_back(std::move(newest));
  if (issuance.pending) after.emplace_back(pending_order_key(entry.id));
  for (const std::string& key : keys) {
    const bool kept = key == certificate_record_key(entry.id) || key == pending_order_key(entry.id) ||
                      (replaced > 0 && key == generation_key(entry.id, replaced));
    const std::string_view name = std::string_view(key).substr(prefix.size());
    const bool is_generation = !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
    if (!kept && is_generation) after.emplace_back(key);
  }
  record.live = record.last_generation = number;

  const CertificateRecord earlier = std::exchange(issuance.record, std::move(record));
  const auto installed = std::make_shared<InstalledCertificate>();
  installed->id = entry.id;
  installed->generation = number;
  installed->chain_pem = std::move(generation.chain_pem);
  installed->key_pem = std::move(generation.key_pem);
  {
    const std::lock_guard lock(mutex_);
    entry.cached = installed;
    // What was said of the certificate that is replaced does not hold for this one, unless it has the same key.
    entry.must_mark = entry.must_mark && issuance.reuses_key && entry.key_compromised;
  }
  Result<void> written = co_await write_record(issuance, std::move(before), std::move(after));
  if (!written) {
    {
      const std::lock_guard lock(mutex_);
      if (entry.cached == installed) entry.cached.reset();
    }
    issuance.record = earlier;  // the order and the key are still pending: the next attempt goes on with them
    co_return co_await fail(issuance, written.error());
  }
  {
    const std::lock_guard lock(mutex_);
    update_health(*issuance.ca, planner::Failure::none, instant.wall);
    issuance.ca->refusals = 0;
    entry.forced.clear();
    entry.retries = false;
    summary_.issued.push_back(entry.id);
    summary_.failed.erase(entry.id);
  }
  say_ca_events();
  for (const std::string& warning : issued.warnings) {
    ManagerEvent event = make_event(ManagerEvent::Kind::warning, instant.wall, warning);
    event.id = entry.id;
    event.ca = issuance.ca->directory;
    reporter_.say(event);
  }
  ManagerEvent event = make_event(ManagerEvent::Kind::issued, instant.wall, "generation " + std::to_string(number));
  event.id = entry.id;
  event.ca = issuance.ca->directory;
  event.not_after = leaf.not_after;
  {
    const std::lock_guard lock(mutex_);
    event.next = decision(entry, instant.wall).wake_at;
  }
  reporter_.say(event);
  co_return Result<void>();
}

// ---- Failures ----

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
  attempts = planner::updated_attempts(attempts, failure, now, error.retry_after());
  issuance.record.last_error = error.what();
  issuance.entry->attempts = issuance.record.attempts;
  issuance.entry->last_error = issuance.record.last_error;
  update_health(ca, failure, now);
  const std::vector<std::string>& names = issuance.spec().names;
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
  // An account that is gone is made again in the next attempt, which need not wait for long.
  if (error.code() == Errc::account_does_not_exist) failure = planner::Failure::ca_unreachable;
  if (failure == planner::Failure::ca_refused && issuance.ca && issuance.account && !seams_.issue) {
    // A signature with a key that counts no more is refused; CAs have several problem types for that.
    Result<bool> changed = co_await cas_.account_was_changed(*issuance.ca, *issuance.account);
    if (changed && *changed) {
      failure = planner::Failure::local;
      error = error.while_doing("issuing, while another process changed the account's key");
    } else if (error.code() == Errc::unauthorized) {
      Result<bool> ended = co_await cas_.account_has_ended(*issuance.ca, *issuance.account);
      if (ended && *ended) error = cas_.ended_account(*issuance.ca);
    }
  }
  // Not the CA has to be waited for, but the operator, or the next attempt with a new account.
  if (issuance.ca && !issuance.ca->ended_account.empty()) failure = planner::Failure::local;
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
  if (issuance.refused && issuance.pending) {
    Result<void> dropped = co_await drop_pending(issuance, false);
    if (!dropped) reporter_.log(LogLevel::warning, dropped.error().what());
  }
  Result<void> written = co_await write_record(issuance);
  if (!written) reporter_.log(LogLevel::warning, written.error().while_doing("remembering a failed attempt").what());
  co_return error;
}

// ---- Emergencies ----

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
  if (outcome) {
    {
      const std::lock_guard lock(mutex_);
      issuance.record.emergency = emergency_in_words(entry);
      issuance.record.key_compromised = issuance.record.key_compromised || entry.key_compromised;
    }
    outcome = co_await write_record(issuance);
  }
  {
    const std::lock_guard lock(mutex_);
    if (outcome) entry.must_mark = false;
    if (!outcome && !store_.is_down()) entry.held_until = instant.wall + held_pause(entry);
  }
  Result<void> released = co_await store_.release(*hold);
  co_return outcome;
}

}  // namespace culmen::manager
