#include "manager/manager_core.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/time.hpp"
#include "manager/spec_checker.hpp"

namespace culmen::manager {

namespace {
constexpr std::chrono::seconds shortest_lease(3), longest_lease(24 * 3600);
constexpr std::size_t widest = 1000;
constexpr std::chrono::seconds after_failed_run(1);

Error invalid(const std::string& why) { return Error(Errc::invalid_argument, "making a manager", why); }

ManagerOptions checked_options(ManagerOptions options) {
  if (!options.storage) throw invalid("there is no storage: set ManagerOptions::storage");
  if (options.lease_ttl < shortest_lease || options.lease_ttl > longest_lease)
    throw invalid("lease_ttl must be 3 s to 1 day");
  if (options.width < 1 || options.width > widest) throw invalid("width must be 1 to 1000");
  if (std::ranges::count(options.solvers, nullptr) > 0) throw invalid("one of the solvers is a null pointer");
  if (!options.names.empty()) options.specs.insert(options.specs.begin(), CertificateSpec(options.names));
  return options;
}

/// A record that cannot be read is left alone, whatever is asked for.
Result<void> check_readable(const std::vector<std::shared_ptr<Entry>>& entries, std::string_view doing) {
  for (const std::shared_ptr<Entry>& entry : entries) {
    if (entry->is_unreadable) return Error(Errc::io_failed, doing, entry->last_error);
  }
  return {};
}

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t(device()) << 32 | device();
}
}  // namespace

ManagerCore::ManagerCore(ManagerOptions options, Seams seams)
    : options_(checked_options(std::move(options))),
      seams_(std::move(seams)),
      reporter_(options_),
      store_(options_.storage, reporter_, options_.owner, options_.lease_ttl),
      own_solver_(answers_, store_, options_.share_challenges),
      cas_(options_, reporter_, store_, mutex_),
      generator_(random_seed()) {
  for (const std::shared_ptr<ChallengeSolver>& solver : options_.solvers) solvers_.push_back(solver.get());
  if (solvers_.empty()) solvers_.push_back(&own_solver_);
  store_.on_recovered = [this] {
    wake_.set();
    deliver_.set();
  };
  catalogue_.set(wanted(std::exchange(options_.specs, {})));
}

ManagerCore::~ManagerCore() = default;

std::vector<std::shared_ptr<const Wanted>> ManagerCore::wanted(std::vector<CertificateSpec> specs) {
  std::vector<std::shared_ptr<const Wanted>> all;
  all.reserve(specs.size());
  SpecChecker checker;
  std::vector<std::pair<std::size_t, std::string_view>> ids;  // with hashes: sorting a million texts takes long
  ids.reserve(specs.size());
  for (CertificateSpec& spec : specs) {
    Result<std::vector<std::string>> checked = checker.ids(spec);
    if (!checked) throw checked.error();
    auto each = std::make_shared<Wanted>(std::move(spec));
    each->ids = std::move(*checked);
    for (const std::string& id : each->ids) ids.emplace_back(std::hash<std::string_view>()(id), id);
    // With `prepare`, the program chooses the solvers of each attempt.
    if (!options_.prepare && solvers_for(each->spec).empty()) {
      throw Error(Errc::invalid_argument, "reading the wanted certificates",
                  "\"" + printable(id_of(each->spec), 200) + "\" is to be validated by \"" +
                      printable(each->spec.challenge, 60) + "\", and no solver has that type");
    }
    for (const std::string& ca : each->spec.cas) each->cas.push_back(&cas_.at(ca));
    if (each->cas.empty()) each->cas = cas_.preferred();
    all.push_back(std::move(each));
  }
  std::ranges::sort(ids);
  if (const auto twice = std::ranges::adjacent_find(ids); twice != ids.end()) {
    throw Error(Errc::invalid_argument, "reading the wanted certificates",
                "\"" + printable(twice->second, 200) + "\" is there twice: give one of them another id");
  }
  return all;
}

double ManagerCore::random() {
  if (seams_.random) return seams_.random();
  return std::uniform_real_distribution<double>(0, 1)(generator_);
}

std::vector<ChallengeSolver*> ManagerCore::solvers_for(const CertificateSpec& spec) const {
  std::vector<ChallengeSolver*> solvers;
  std::ranges::copy_if(solvers_, std::back_inserter(solvers), [&](const ChallengeSolver* solver) {
    return spec.challenge.empty() || solver->type() == spec.challenge;
  });
  return solvers;
}

// ---- Running ----

void ManagerCore::reset() {
  const std::lock_guard lock(mutex_);
  store_.forget_leases();
  queued_.clear();
  queued_new_.clear();
  deliveries_.clear();
  running_ = 0;
  said_loaded_ = false;
  load_at_ = planner::Time();
  summary_ = RunSummary();
  for (const auto& [id, entry] : catalogue_.entries()) {
    entry->in_flight = false;
    entry->was_tried = false;
    entry->held_until.reset();
    entry->ari_slot.reset();
    catalogue_.mark_not_loaded(*entry);  // another process may have changed it since
  }
}

Flow<Result<void>> ManagerCore::run() {
  for (;;) {
    std::function<Flow<Result<void>>()> make = [this] { return run_all(Mode::until_stopped); };
    Result<void> ended = co_await guarded<void>(std::move(make), "");
    if (ended || ended.error().code() == Errc::cancelled) co_return Result<void>();
    // Nothing that it does ends it; a system that is out of memory may.
    const Instant instant = co_await now();
    ManagerEvent event = make_event(ManagerEvent::Kind::failed, instant.wall, ended.error().what());
    event.next = instant.wall + after_failed_run;
    reporter_.say(event);
    Result<void> waited = co_await wait(after_failed_run);
    if (!waited) co_return Result<void>();
  }
}

Flow<Result<RunSummary>> ManagerCore::run_once() {
  Result<void> ended = co_await run_all(Mode::once);
  if (!ended) co_return ended.error().while_doing("renewing what is due");
  RunSummary summary;
  const Instant end = co_await now();
  {
    const std::lock_guard lock(mutex_);
    summary = std::move(summary_);
    summary.looked_at = catalogue_.entries().size();
    std::set<std::string, std::less<>> done(summary.issued.begin(), summary.issued.end());
    done.insert(summary.held_elsewhere.begin(), summary.held_elsewhere.end());
    for (const auto& [id, error] : summary.failed) done.insert(id);
    for (const auto& [id, entry] : catalogue_.entries()) {
      if (!entry->is_loaded || entry->is_unreadable || entry->is_gone || done.contains(id)) continue;
      const planner::Action action = decision(*entry, end.wall);
      if (!action.due) continue;
      const planner::Time allowed_at = early_allowed_at(action, end.wall);
      std::string until;
      if (allowed_at > end.wall) {
        until = "; not before " + base::format_rfc3339(allowed_at) +
                ", since many certificates were replaced early this hour";
      } else if (action.kind == planner::Action::Kind::issue) {
        until = "; it had to wait during this run, and can be ordered now";
      }
      summary.waiting.emplace(id, action.reason + until);
    }
    summary.next = catalogue_.next_wake_up();
  }
  co_return summary;
}

void ManagerCore::stop() { stop_.set(); }

Flow<Result<void>> ManagerCore::run_all(Mode mode) {
  reset();
  std::vector<Flow<Result<void>>> either;
  either.push_back(children(mode));
  either.push_back(until_stopped());
  First<Result<void>> first = co_await first_of(std::move(either));
  nursery_ = nullptr;
  co_return first.result;
}

Flow<Result<void>> ManagerCore::until_stopped() {
  Result<void> stopped = co_await stop_.wait();
  if (!stopped) co_return stopped;
  co_return Error(Errc::cancelled, "", "the manager was stopped");
}

Flow<Result<void>> ManagerCore::children(Mode mode) {
  Nursery nursery = co_await open_nursery();
  nursery_ = &nursery;
  const Nursery::Id planning = nursery.spawn(plan(mode));
  nursery.spawn(store_.keep_leases());
  if (options_.share_challenges) nursery.spawn(watch_challenges(answers_, store_));
  if (mode == Mode::until_stopped) {
    nursery.spawn(deliver(mode));
    nursery.spawn(keep_ledgers());
    nursery.spawn(store_.keep_trying());
    if (seams_.watch) nursery.spawn(watch_storage());
  }
  Result<void> outcome;
  for (;;) {
    Result<std::optional<Nursery::Ended>> ended = co_await nursery.next();
    if (!ended) {
      outcome = ended.error();
      break;
    }
    if (!*ended) break;
    if ((*ended)->id == planning) {
      outcome = (*ended)->result;
      break;
    }
  }
  nursery.cancel_all();
  (void)co_await nursery.join();
  nursery_ = nullptr;
  Flow<Result<void>> marks = with_deadline(mark_emergencies(), std::chrono::milliseconds(300), "storing emergencies");
  (void)co_await shielded(std::move(marks));
  Flow<Result<void>> last =
      with_deadline(store_ledgers(), std::chrono::milliseconds(300), "storing what was used of rate limits");
  (void)co_await shielded(std::move(last));
  if (outcome && mode == Mode::once) outcome = co_await deliver(mode);
  co_return outcome;
}

// ---- From any thread ----

void ManagerCore::set_specs(std::vector<CertificateSpec> specs) {
  const std::lock_guard lock(mutex_);
  catalogue_.set(wanted(std::move(specs)));
  wake_.set();
}

Result<void> ManagerCore::renew_now(std::string_view id, std::string why) {
  const std::lock_guard lock(mutex_);
  const std::vector<std::shared_ptr<Entry>> entries = catalogue_.find_all(id);
  if (entries.empty()) {
    return Error(Errc::not_offered, "renewing a certificate",
                 "there is none with the id \"" + printable(id, 200) + "\"");
  }
  if (Result<void> readable = check_readable(entries, "renewing a certificate"); !readable) return readable;
  for (const std::shared_ptr<Entry>& entry : entries) {
    entry->forced = why.empty() ? "asked for" : why;
    // It is asked for: what failed before need not fail now. What the CA said about waiting still holds.
    entry->retries = true;
    if (entry->is_loaded && !entry->in_flight) catalogue_.wake(*entry, planner::Time());
  }
  wake_.set();
  return {};
}

Result<void> ManagerCore::retry_now(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const std::vector<std::shared_ptr<Entry>> entries = catalogue_.find_all(id);
  if (entries.empty()) {
    return Error(Errc::not_offered, "trying a certificate again",
                 "there is none with the id \"" + printable(id, 200) + "\"");
  }
  for (const std::shared_ptr<Entry>& entry : entries) {
    entry->retries = true;
    if (entry->is_loaded && !entry->in_flight) catalogue_.wake(*entry, planner::Time());
  }
  wake_.set();
  return {};
}

Result<void> ManagerCore::revoked(std::string_view id, bool key_compromised) {
  const std::lock_guard lock(mutex_);
  const std::vector<std::shared_ptr<Entry>> entries = catalogue_.find_all(id);
  if (entries.empty()) {
    return Error(Errc::not_offered, "replacing a revoked certificate",
                 "there is none with the id \"" + printable(id, 200) + "\"");
  }
  if (Result<void> readable = check_readable(entries, "replacing a revoked certificate"); !readable) return readable;
  for (const std::shared_ptr<Entry>& entry : entries) {
    entry->emergency = true;
    entry->key_compromised = entry->key_compromised || key_compromised;
    entry->must_mark = true;
    if (entry->is_loaded && !entry->in_flight) catalogue_.wake(*entry, planner::Time());
  }
  wake_.set();
  return {};
}

ManagerCore::Sizes ManagerCore::sizes() const {
  const std::lock_guard lock(mutex_);
  Sizes sizes;
  sizes.certificates = catalogue_.entries().size();
  sizes.wake_ups = catalogue_.number_of_wake_ups();
  sizes.not_loaded = catalogue_.number_not_loaded();
  sizes.queued = queued_.size() + queued_new_.size();
  sizes.deliveries = deliveries_.size();
  sizes.cas = cas_.all().size();
  for (const auto& [directory, ca] : cas_.all()) sizes.unstored += ca->unstored.size();
  return sizes;
}

std::vector<CertificateStatus> ManagerCore::status(planner::Time now) const {
  std::vector<CertificateStatus> all;
  const std::lock_guard lock(mutex_);
  all.reserve(catalogue_.entries().size());
  for (const auto& [id, entry] : catalogue_.entries()) {
    CertificateStatus status;
    status.id = id;
    status.names = entry->wanted->spec.names;
    status.in_flight = entry->in_flight;
    status.last_error = entry->last_error;
    if (!entry->is_loaded) {
      status.reason = "not read from storage yet";
    } else if (entry->is_unreadable) {
      status.reason = "its record in storage cannot be read: " + certificate_record_key(id);
    } else {
      if (entry->live > 0) {
        status.issued_by = *entry->server;
        status.not_before = entry->not_before;
        status.not_after = entry->not_after;
      }
      const planner::Action action = decision(*entry, now);
      status.reason =
          entry->forced.empty() ? action.reason : "to be renewed at once: " + printable(entry->forced, 1000);
      status.late = action.late;
      std::optional<planner::Time> latest;
      for (const auto& [ca, attempts] : entry->attempts) {
        if (attempts.last_at && (!latest || *attempts.last_at >= *latest)) {
          latest = attempts.last_at;
          status.failures = attempts.in_a_row;
        }
      }
    }
    if (entry->is_loaded && !entry->in_flight) status.next = std::max(entry->wake_at, now);
    all.push_back(std::move(status));
  }
  return all;
}

Flow<Result<void>> ManagerCore::ensure(std::shared_ptr<ManagerCore> self, std::string id) {
  const std::string doing = "waiting for the certificate " + printable(id, 200);
  for (;;) {
    const Instant instant = co_await now();
    const auto waiter = std::make_shared<Waiter>();
    {
      const std::lock_guard lock(self->mutex_);
      const std::vector<std::shared_ptr<Entry>> entries = self->catalogue_.find_all(id);
      if (entries.empty()) co_return Error(Errc::not_offered, doing, "there is no certificate with that id");
      bool all_valid = true;
      for (const std::shared_ptr<Entry>& entry : entries) {
        if (entry->is_unreadable) co_return Error(Errc::io_failed, doing, entry->last_error);
        const bool is_good = entry->is_loaded && entry->live > 0 && entry->not_after > instant.wall;
        if (is_good && !entry->emergency && !entry->outdated) continue;
        all_valid = false;
        entry->waiting.push_back(waiter);
      }
      if (all_valid) co_return Result<void>();
    }
    Result<void> woken = co_await waiter->event.wait();
    if (!woken) {
      const std::lock_guard lock(self->mutex_);
      for (const std::shared_ptr<Entry>& entry : self->catalogue_.find_all(id)) std::erase(entry->waiting, waiter);
      co_return woken.error().while_doing(doing);
    }
    std::optional<Error> failed;
    {
      const std::lock_guard lock(self->mutex_);
      failed = waiter->error;
    }
    if (failed) co_return failed->while_doing(doing);
  }
}

Flow<Result<std::optional<InstalledCertificate>>> ManagerCore::current(std::shared_ptr<ManagerCore> self,
                                                                       std::string id) {
  InstalledCertificate certificate;
  {
    const std::lock_guard lock(self->mutex_);
    const std::shared_ptr<Entry> entry = self->catalogue_.find(id);
    if (!entry || entry->live == 0) co_return std::optional<InstalledCertificate>();
    if (entry->cached) co_return std::optional<InstalledCertificate>(*entry->cached);
    certificate.id = id;
    certificate.generation = entry->live;
  }
  const std::string key = generation_key(id, certificate.generation);
  std::function<Flow<Result<std::optional<StoredValue>>>()> load = [storage = self->options_.storage, key] {
    return load_one(*storage, key);
  };
  Result<std::optional<StoredValue>> stored = co_await guarded(std::move(load), "reading " + key);
  if (!stored) co_return stored.error();
  if (!*stored) co_return std::optional<InstalledCertificate>();
  Result<Generation> generation = decode_generation((*stored)->value);
  if (!generation) co_return generation.error().while_doing("reading " + key);
  certificate.chain_pem = std::move(generation->chain_pem);
  certificate.key_pem = std::move(generation->key_pem);
  co_return std::optional<InstalledCertificate>(std::move(certificate));
}

}  // namespace culmen::manager
