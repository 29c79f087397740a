#include "culmen/rehearsal.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tuple>
#include <utility>

#include "base/time.hpp"
#include "culmen/attempt.hpp"
#include "culmen/directory.hpp"
#include "culmen/test_ca.hpp"
#include "culmen/virtual_driver.hpp"
#include "manager/manager_core.hpp"

namespace culmen {

namespace {
using std::chrono::hours;
using std::chrono::seconds;

constexpr const char* rehearsing = "rehearsing renewals";
constexpr const char* onion_challenge = "onion-csr-01";
constexpr const char* challenges[] = {"http-01",        "tls-alpn-01",    "dns-01",
                                      "dns-account-01", "dns-persist-01", onion_challenge};
constexpr hours whole_day(24);
constexpr hours longest_rehearsal(24 * 366 * 5);
constexpr double most_renewals = 100'000;
/// Without a timer, the next run is no later than this: programs that failed are tried again then.
constexpr hours longest_pause(1);
constexpr std::size_t keys_of_a_type = 4;
/// When to ask for renewal information again: the answers do not change.
constexpr hours unchanged_answer(24);

/// Challenges that are answered now, for the CAs to see.
class PresentedChallenges {
 public:
  void add(const ChallengeContext& context) { presented_.insert(key(context)); }
  void remove(const ChallengeContext& context) {
    if (const auto found = presented_.find(key(context)); found != presented_.end()) presented_.erase(found);
  }
  std::optional<std::string> fault_of(const TestCaValidation& validation) const {
    if (presented_.contains(key(validation))) return std::nullopt;
    return "nothing answers the challenge of " + validation.identifier.value;
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;
  template <class Challenge>
  static Key key(const Challenge& challenge) {
    return {challenge.type, challenge.identifier.value, challenge.token};
  }
  std::multiset<Key> presented_;
};

class RehearsalSolver final : public ChallengeSolver {
 public:
  RehearsalSolver(std::string type, PresentedChallenges& presented) : type_(std::move(type)), presented_(presented) {}
  std::string_view type() const noexcept override { return type_; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override {
    if (identifier.type == "ip") return type_ == "http-01" || type_ == "tls-alpn-01";
    return !wildcard || type_.starts_with("dns-");
  }
  Flow<Result<void>> present(ChallengeContext context) override {
    presented_.add(context);
    co_return Result<void>();
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override {
    presented_.remove(context);
    co_return Result<void>();
  }

 private:
  const std::string type_;
  PresentedChallenges& presented_;
};

/// A test CA in place of a real one.
struct RehearsedCa {
  RehearsedCa() = default;
  std::string directory;  ///< Of the real one.
  std::string base_url;
  bool is_public = false;
  std::unique_ptr<TestCa> ca;
};

/// Of a present certificate, as its CA would say it.
seconds whole_lifetime(planner::Time not_before, planner::Time not_after) {
  const auto life = std::chrono::round<seconds>(not_after - not_before);
  if (life >= whole_day) return std::chrono::round<hours>(life);
  // notAfter is the last second of it (RFC 5280 §4.1.2.5).
  const bool is_less = (life + seconds(1)) % std::chrono::minutes(1) == seconds(0);
  return std::max(is_less ? life + seconds(1) : life, seconds(1));
}

/// The answer of a CA that goes on saying what it said before.
HttpResponse renewal_info_response(const std::string& url, const RenewalInfo& info) {
  HttpResponse response;
  response.status = 200;
  response.url = url;
  response.headers.emplace_back("content-type", "application/json");
  response.headers.emplace_back("retry-after", std::to_string(seconds(unchanged_answer).count()));
  response.body = R"({"suggestedWindow":{"start":")" + base::format_rfc3339(info.window_start) + R"(","end":")" +
                  base::format_rfc3339(info.window_end) + "\"}";
  // A URL has nothing that JSON would have to escape.
  const bool is_url =
      std::ranges::all_of(info.explanation_url, [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
  if (is_url && !info.explanation_url.empty()) response.body += ",\"explanationURL\":\"" + info.explanation_url + "\"";
  response.body += "}";
  return response;
}

class Rehearsal {
 public:
  Rehearsal(ManagerOptions manager, const std::vector<StoredCertificate>& certificates,
            const RehearsalOptions& options);
  std::vector<RehearsedCertificate> run();

 private:
  void copy(const std::vector<StoredCertificate>& certificates);
  void add_ca(const std::string& name_or_url);
  TimedResponse answer(const HttpRequest& request);
  bool is_out(const std::string& ca) const;
  seconds lifetime(const RehearsedCa& ca, const std::vector<Identifier>& names, const std::string& profile) const;
  void prepare(Attempt& attempt);
  void on_event(const ManagerEvent& event);
  void note_trouble(const std::string& id, const std::string& ca, const std::string& why, bool is_attempt);
  void note_waiting(const RunSummary& summary);
  PrivateKey spare_key(const std::string& type);
  void check_number_of_renewals() const;
  planner::Time next_run(planner::Time last, const RunSummary& summary) const;

  const RehearsalOptions& options_;
  VirtualClock clock_;
  ManagerOptions manager_;
  std::function<void(Attempt&)> own_prepare_;
  std::function<void(const ManagerEvent&)> own_on_event_;
  PresentedChallenges presented_;
  std::vector<std::shared_ptr<ChallengeSolver>> solvers_;
  std::vector<std::unique_ptr<RehearsedCa>> cas_;
  std::set<std::string> profiles_;
  bool has_onions_ = false;
  std::map<std::pair<std::string, std::string>, seconds> present_lifetimes_;  ///< By directory and name.
  std::map<std::string, RenewalInfo> known_windows_;                          ///< Of present certificates, by CertID.
  std::map<std::string, std::vector<PrivateKey>> keys_;                       ///< By type.
  std::size_t keys_taken_ = 0;
  std::map<std::string, RehearsedCertificate> found_;  ///< By id.
  std::optional<VirtualDriver> driver_;
};

Error invalid_rehearsal(const std::string& why) { return Error(Errc::invalid_argument, rehearsing, why); }

Rehearsal::Rehearsal(ManagerOptions manager, const std::vector<StoredCertificate>& certificates,
                     const RehearsalOptions& options)
    : options_(options), clock_(options.from), manager_(std::move(manager)) {
  if (options_.until <= options_.from || options_.until - options_.from > longest_rehearsal)
    throw invalid_rehearsal("the end must be after the beginning, by five years at most");
  if (options_.every != seconds(0) && options_.every < std::chrono::minutes(1))
    throw invalid_rehearsal("runs must be a minute apart or more");
  for (const char* type : challenges) solvers_.push_back(std::make_shared<RehearsalSolver>(type, presented_));
  for (const CertificateSpec& spec : manager_.specs) {
    if (!spec.profile.empty()) profiles_.insert(spec.profile);
    has_onions_ = has_onions_ ||
                  std::ranges::any_of(spec.names, [](const std::string& name) { return name.ends_with(".onion"); });
    for (const std::string& id : certificate_ids(spec)) {
      found_[id].id = id;
      found_[id].profile = spec.profile;
    }
  }
  VirtualDriverOptions loose;
  loose.asks_per_minute = 100'000'000;
  driver_.emplace(
      clock_, [this](const HttpRequest& request) { return answer(request); }, loose);
  copy(certificates);
  if (manager_.cas.empty()) add_ca("letsencrypt");
  for (const CaOptions& ca : manager_.cas) add_ca(ca.directory);
  for (const CertificateSpec& spec : manager_.specs) {
    for (const std::string& ca : spec.cas) add_ca(ca);
  }

  own_prepare_ = std::exchange(manager_.prepare, [this](Attempt& attempt) { prepare(attempt); });
  own_on_event_ = std::exchange(manager_.on_event, [this](const ManagerEvent& event) { on_event(event); });
  manager_.solvers = solvers_;
  manager_.agree_tos = true;
  for (CaOptions& ca : manager_.cas) {
    ca.eab = nullptr;
    ca.account_options = nullptr;
  }
  if (manager_.owner.empty()) manager_.owner = "rehearsal";
}

/// What the real CAs alone know is left out: orders, accounts, and the identifier for renewal information. The window
/// that a CA has suggested for a present certificate is kept: the CA that stands in for it goes on suggesting it.
void Rehearsal::copy(const std::vector<StoredCertificate>& certificates) {
  manager_.storage = memory_storage();
  std::vector<Write> writes;
  for (const StoredCertificate& certificate : certificates) {
    const auto found = found_.find(certificate.id);
    if (found == found_.end()) continue;
    CertificateRecord record = certificate.record;
    found->second.last_failure = record.last_error;
    for (const auto& [ca, attempts] : record.attempts) found->second.failures += attempts.in_a_row;
    const std::string certificate_id = std::exchange(record.certificate_id, {});
    if (record.renewal.info && !certificate_id.empty()) known_windows_[certificate_id] = *record.renewal.info;
    if (certificate.live && record.not_before && record.not_after) {
      RehearsedCertificate::Life life;
      life.from = std::min(*record.not_before, options_.from);
      life.until = *record.not_after;
      life.ca = record.server;
      found->second.lives.push_back(std::move(life));
      found->second.was_there = true;
      const seconds whole = whole_lifetime(*record.not_before, *record.not_after);
      for (const std::string& name : record.names) present_lifetimes_[{record.server, name}] = whole;
      writes.emplace_back(generation_key(certificate.id, record.live), encode(*certificate.live));
    } else {
      record.live = 0;
    }
    writes.emplace_back(certificate_record_key(certificate.id), encode(record));
    if (!record.server.empty()) add_ca(record.server);
  }
  if (writes.empty()) return;
  driver_->drive(manager_.storage->write(std::move(writes))).value();
}

void Rehearsal::add_ca(const std::string& name_or_url) {
  const std::string directory = resolve_directory_url(name_or_url);
  if (std::ranges::any_of(cas_, [&](const auto& ca) { return ca->directory == directory; })) return;
  cas_.push_back(std::make_unique<RehearsedCa>());
  RehearsedCa& ca = *cas_.back();
  ca.directory = directory;
  ca.base_url = "https://ca" + std::to_string(cas_.size()) + ".rehearsal.invalid";
  ca.is_public =
      std::ranges::any_of(known_cas(), [&](const KnownCa& known) { return known.directory_url == directory; });
  TestCaOptions options;
  options.base_url = ca.base_url;
  options.seed = options_.seed * 1000 + cas_.size();
  options.clock = clock_;
  options.dns_account = true;
  options.dns_persist = TestCaOptions::DnsPersist::account_hash;
  if (has_onions_) options.onion = TestCaOptions::Onion::rfc9799;
  options.faults.reuse_authorizations = true;
  options.renewal_info_retry_after = unchanged_answer;
  options.validate = [this](const TestCaValidation& validation) { return presented_.fault_of(validation); };
  options.certificate_lifetime_of = [this, &ca](const std::vector<Identifier>& names, const std::string& profile) {
    return lifetime(ca, names, profile);
  };
  options.authorization_lifetime_of = [this, &ca]() -> seconds {
    const CaTerms* terms = ca_terms_at(options_.terms, ca.directory, "", clock_.now());
    return terms ? terms->authorization_lifetime : hours(1);
  };
  if (!profiles_.empty()) options.profiles["classic"] = "what is issued if nothing is asked for";
  for (const std::string& profile : profiles_) options.profiles[profile] = profile;
  ca.ca = std::make_unique<TestCa>(std::move(options));
}

seconds Rehearsal::lifetime(const RehearsedCa& ca, const std::vector<Identifier>& names,
                            const std::string& profile) const {
  const planner::Time now = clock_.now();
  if (const CaTerms* terms = ca_terms_at(options_.terms, ca.directory, profile, now))
    return terms->certificate_lifetime;
  seconds known = hours(90 * 24);
  for (const Identifier& name : names) {
    const auto found = present_lifetimes_.find({ca.directory, name.value});
    if (found == present_lifetimes_.end()) continue;
    known = found->second;
    break;
  }
  return ca.is_public ? std::min(known, longest_public_lifetime(now)) : known;
}

bool Rehearsal::is_out(const std::string& ca) const {
  return std::ranges::any_of(options_.outages,
                             [&](const CaOutage& outage) { return outage.contains(ca, clock_.now()); });
}

TimedResponse Rehearsal::answer(const HttpRequest& request) {
  for (const auto& ca : cas_) {
    const bool is_directory = request.url == ca->directory;
    if (!is_directory && !request.url.starts_with(ca->base_url + "/")) continue;
    if (is_out(ca->directory))
      return TimedResponse(Error(Errc::connection_failed, "sending a request to " + ca->directory,
                                 "the CA does not answer (an outage of the rehearsal)"));
    const auto known = known_windows_.find(request.url.substr(request.url.rfind('/') + 1));
    if (known != known_windows_.end()) return TimedResponse(renewal_info_response(request.url, known->second));
    HttpRequest same = request;
    if (is_directory) same.url = ca->ca->directory_url();
    return ca->ca->handle(same);
  }
  return TimedResponse(
      Error(Errc::connection_failed, "sending a request for " + request.url, "there is no network in a rehearsal"));
}

/// New RSA keys take long, and nothing depends on them here.
PrivateKey Rehearsal::spare_key(const std::string& type) {
  std::vector<PrivateKey>& keys = keys_[type];
  if (keys.size() < keys_of_a_type) {
    keys.push_back(PrivateKey::generate(type));
    return keys.back();
  }
  return keys[++keys_taken_ % keys.size()];
}

void Rehearsal::prepare(Attempt& attempt) {
  if (own_prepare_) own_prepare_(attempt);
  const std::string& challenge = attempt.spec.challenge;
  if (challenge != onion_challenge) {  // that one needs no network
    attempt.solvers.clear();
    for (const std::shared_ptr<ChallengeSolver>& solver : solvers_) {
      if (challenge.empty() || solver->type() == challenge) attempt.solvers.push_back(solver);
    }
  }
  const std::string& key_type = attempt.request.key_type;
  if (!attempt.request.key && key_type.starts_with("rsa")) attempt.request.key = spare_key(key_type);
}

// ---- What happens ----

void Rehearsal::on_event(const ManagerEvent& event) {
  if (own_on_event_) own_on_event_(event);
  if (event.id.empty()) return;
  RehearsedCertificate& certificate = found_[event.id];
  switch (event.kind) {
    case ManagerEvent::Kind::issued: {
      RehearsedCertificate::Life life;
      life.from = event.at;
      life.until = event.not_after.value_or(event.at);
      life.ca = event.ca;
      certificate.lives.push_back(std::move(life));
      if (!certificate.troubles.empty() && !certificate.troubles.back().until)
        certificate.troubles.back().until = event.at;
      return;
    }
    case ManagerEvent::Kind::failed: return note_trouble(event.id, event.ca, event.detail, true);
    case ManagerEvent::Kind::late: certificate.late.push_back(event.at); return;
    default: return;
  }
}

void Rehearsal::note_trouble(const std::string& id, const std::string& ca, const std::string& why, bool is_attempt) {
  std::vector<RehearsedCertificate::Trouble>& troubles = found_[id].troubles;
  if (troubles.empty() || troubles.back().until) {
    troubles.emplace_back();
    troubles.back().from = clock_.now();
    troubles.back().ca = ca;
    troubles.back().in_outage = true;
  }
  RehearsedCertificate::Trouble& trouble = troubles.back();
  if (is_attempt) {
    ++trouble.attempts;
    trouble.in_outage = trouble.in_outage && is_out(ca);
  }
  if (is_attempt || trouble.attempts == 0) trouble.why = why;
}

/// Due, and not ordered: by a limit, or since its CA is left alone.
void Rehearsal::note_waiting(const RunSummary& summary) {
  for (const auto& [id, why] : summary.waiting) {
    const RehearsedCertificate& certificate = found_[id];
    note_trouble(id, certificate.lives.empty() ? std::string() : certificate.lives.back().ca, why, false);
  }
}

/// Each of them takes milliseconds.
void Rehearsal::check_number_of_renewals() const {
  using Real = std::chrono::duration<double>;
  double renewals = 0;
  std::string shortest;
  seconds least = longest_rehearsal;
  for (const auto& [id, certificate] : found_) {
    if (!certificate.was_there) continue;
    const seconds life = whole_lifetime(certificate.lives.front().from, certificate.lives.front().until);
    const Real pause = std::max<Real>(Real(life) / 2, options_.every);
    renewals += Real(options_.until - options_.from) / pause;
    if (life >= least) continue;
    least = life;
    shortest = id;
  }
  if (renewals > most_renewals)
    throw invalid_rehearsal("there would be more than " + std::to_string(static_cast<int>(most_renewals)) +
                            " renewals: a certificate of " + printable(shortest) + " lives " +
                            std::to_string(least.count()) + " s; rehearse a shorter time");
}

planner::Time Rehearsal::next_run(planner::Time last, const RunSummary& summary) const {
  if (options_.every > seconds(0)) return last + options_.every;
  const planner::Time now = clock_.now();
  return std::clamp<planner::Time>(summary.next.value_or(now + longest_pause), now + seconds(1), now + longest_pause);
}

std::vector<RehearsedCertificate> Rehearsal::run() {
  check_number_of_renewals();
  manager::Seams seams;
  seams.watch = false;
  seams.random = [random = std::mt19937_64(options_.seed)]() mutable {
    return static_cast<double>(random() >> 11) / static_cast<double>(std::uint64_t(1) << 53);
  };
  const auto core = std::make_shared<manager::ManagerCore>(manager_, std::move(seams));
  RunSummary summary;
  for (planner::Time next = options_.from; next < options_.until; next = next_run(next, summary)) {
    if (next < clock_.now()) continue;  // the run before took longer
    driver_->run_until(next);
    summary = driver_->drive(core->run_once(), "the manager").value();
    note_waiting(summary);
    if (options_.after_run) options_.after_run(clock_.now());
  }
  std::vector<RehearsedCertificate> all;
  for (auto& [id, certificate] : found_) {
    // What became due during a run is ordered in the next.
    std::erase_if(certificate.troubles, [this](const RehearsedCertificate::Trouble& trouble) {
      return trouble.attempts == 0 && trouble.until.value_or(clock_.now()) - trouble.from <=
                                          std::max<seconds>(options_.every, std::chrono::minutes(1));
    });
    all.push_back(std::move(certificate));
  }
  return all;
}

}  // namespace

std::vector<RehearsedCertificate> rehearse(ManagerOptions manager, const std::vector<StoredCertificate>& certificates,
                                           const RehearsalOptions& options) {
  return Rehearsal(std::move(manager), certificates, options).run();
}

}  // namespace culmen
