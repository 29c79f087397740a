// The CA, the account and the limits; then each name.
#include "culmen/checkup.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/time.hpp"
#include "culmen/account.hpp"
#include "culmen/directory.hpp"
#include "culmen/engine.hpp"
#include "culmen/rate_ledger.hpp"
#include "culmen/records.hpp"
#include "culmen/stored_certificates.hpp"
#include "doctor/findings.hpp"
#include "doctor/names.hpp"

namespace culmen {

std::string_view to_string(Finding::Verdict verdict) noexcept {
  switch (verdict) {
    case Finding::Verdict::good: return "good";
    case Finding::Verdict::note: return "note";
    case Finding::Verdict::machine: return "machine";
    case Finding::Verdict::temporary: return "temporary";
    case Finding::Verdict::refused: return "refused";
  }
  return "note";
}

Finding::Verdict worst_of(const std::vector<Finding>& findings) noexcept {
  using Verdict = Finding::Verdict;
  constexpr Verdict by_weight[] = {Verdict::machine, Verdict::refused, Verdict::temporary, Verdict::note};
  for (const Verdict verdict : by_weight) {
    if (std::ranges::any_of(findings, [&](const Finding& finding) { return finding.verdict == verdict; }))
      return verdict;
  }
  return Verdict::good;
}

namespace doctor {

namespace {

using Verdict = Finding::Verdict;
using std::chrono::seconds;

// Dates have no fractions, and an answer takes its time. Certificates are dated back an hour by most CAs.
constexpr seconds clock_tolerance(60), clock_limit(3600);
constexpr std::chrono::hours week(24 * 7);

std::string host_of(const std::string& url) {
  const std::size_t start = url.find("://");
  const std::string rest = start == std::string::npos ? url : url.substr(start + 3);
  return rest.substr(0, rest.find('/'));
}

/// Its Date header against the clock of this machine.
Flow<Result<void>> check_clock(Findings& findings, std::string directory) {
  HttpRequest request(HttpMethod::get, directory);
  const Instant before = co_await now();
  Result<HttpResponse> response = co_await send(request);
  const Instant after = co_await now();
  if (!response) co_return Result<void>();  // what is wrong was said when the directory was fetched
  const std::optional<std::string_view> header = response->header("date");
  const std::optional<base::TimePoint> date = header ? base::parse_http_date(*header) : std::nullopt;
  if (!date) {
    findings.add(Verdict::note, "clock", "this machine", "the CA does not say what time it is");
    co_return Result<void>();
  }
  const auto middle = before.wall + (after.wall - before.wall) / 2;
  const seconds difference = std::chrono::duration_cast<seconds>(middle - *date);
  const seconds size = std::chrono::abs(difference);
  const std::string found = "the clock is " + std::to_string(size.count()) + " s " +
                            (difference > seconds(0) ? "ahead of" : "behind") + " the CA's";
  constexpr const char* advice =
      "Set the clock, and keep it right with an NTP client such as chrony or systemd-timesyncd.";
  if (size >= clock_limit)
    findings.add(Verdict::machine, "clock", "this machine", found + ": new certificates are not valid here", advice);
  else if (size >= clock_tolerance)
    findings.add(Verdict::note, "clock", "this machine", found, advice);
  else
    findings.add(Verdict::good, "clock", "this machine", "the clock agrees with the CA's");
  co_return Result<void>();
}

/// The account in storage: it is not made, and not recovered.
Flow<Result<std::optional<Account>>> check_account(Findings& findings, const CheckupRequest& request,
                                                   engine::Session session) {
  const std::string& directory = session.directory_url();
  const std::string host = host_of(directory);
  std::vector<std::string> keys(1, account_key_of(directory));
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await request.storage->load(keys);
  if (!loaded) {
    if (loaded.error().code() == Errc::cancelled) co_return loaded.error();
    findings.add(Verdict::machine, "account", host, "it cannot be read: " + std::string(loaded.error().what()),
                 "Restore it from a backup, or make another one with culmen account register --new-key.");
    co_return std::optional<Account>();
  }
  const DirectoryMeta meta = session.directory().meta;
  if (!loaded->front()) {
    std::string advice = "The first order makes one";
    if (!meta.terms_of_service.empty()) advice += "; agree to the terms of service with --agree-tos";
    if (meta.external_account_required) advice += ", and give --eab-kid and --eab-key: this CA binds accounts";
    findings.add(Verdict::good, "account", host, "there is none here yet", advice + ".");
    co_return std::optional<Account>();
  }
  Result<AccountRecord> record = decode_account(loaded->front()->value);
  Result<AccountKey> key =
      record ? result_of([&] { return AccountKey::from_pem(record->key_pem); }) : Result<AccountKey>(record.error());
  if (!key) {
    findings.add(Verdict::machine, "account", host, "its key cannot be read: " + key.error().detail(),
                 "Restore it from a backup, or make another one with culmen account register --new-key.");
    co_return std::optional<Account>();
  }
  if (record->url.empty()) {
    findings.add(Verdict::good, "account", host, "there is a key for it, which no account was made with yet");
    co_return std::optional<Account>();
  }
  const Account account(record->url, *key);
  Result<Account> asked = co_await engine::get_account(session, account);
  if (!asked) {
    const Error& error = asked.error();
    if (error.code() == Errc::cancelled) co_return error;
    const bool passes = is_worth_retrying(error);
    findings.add(
        passes ? Verdict::temporary : Verdict::refused, "account", host,
        "the CA does not accept " + printable(record->url, 200) + ": " + std::string(error.what()),
        passes
            ? "Try again later."
            : "Find it again with culmen account recover, or make another one with culmen account register --new-key.");
    co_return std::optional<Account>();
  }
  if (asked->status != AccountStatus::valid) {
    findings.add(Verdict::refused, "account", host,
                 printable(record->url, 200) + " is " + std::string(to_string(asked->status)),
                 "Make another one with culmen account register --new-key.");
    co_return std::optional<Account>();
  }
  findings.add(Verdict::good, "account", host, printable(record->url, 200) + " is valid");
  co_return std::optional<Account>(*asked);
}

/// How many certificates in storage of that registered domain the CA has issued in the last week.
int issued_in_a_week(const std::vector<StoredCertificate>& certificates, const std::string& domain,
                     const std::string& directory, planner::Time now) {
  const PublicSuffixes suffixes;
  return static_cast<int>(std::ranges::count_if(certificates, [&](const StoredCertificate& certificate) {
    const CertificateRecord& record = certificate.record;
    return record.server == directory && record.not_before && *record.not_before > now - week &&
           std::ranges::any_of(record.names,
                               [&](const std::string& name) { return suffixes.registered_domain(name) == domain; });
  }));
}

Flow<Result<void>> check_limits(Findings& findings, const CheckupRequest& request, const engine::Session& session,
                                const std::optional<Account>& account) {
  const std::string& directory = session.directory_url();
  const Instant instant = co_await now();
  Result<std::vector<StoredCertificate>> certificates = co_await list_certificates(request.storage);
  if (!certificates) {
    if (certificates.error().code() == Errc::cancelled) co_return certificates.error();
    findings.add(Verdict::machine, "limits", "storage", std::string(certificates.error().what()),
                 "See what is wrong with culmen storage check.");
    co_return Result<void>();
  }
  RateLedger ledger;
  if (account) {
    std::vector<std::string> keys(1, rates_key(directory, account->url));
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await request.storage->load(keys);
    if (!loaded && loaded.error().code() == Errc::cancelled) co_return loaded.error();
    if (loaded && loaded->front()) {
      Result<RateLedger> read = RateLedger::from_json(loaded->front()->value);
      if (read) ledger = *read;
    }
  }
  CountedOrder order;
  order.names = request.spec.names;
  order.renewal = std::ranges::any_of(*certificates, [&](const StoredCertificate& certificate) {
    std::vector<std::string> there = certificate.record.names, wanted = order.names;
    std::ranges::sort(there);
    std::ranges::sort(wanted);
    return certificate.record.live > 0 && there == wanted;
  });
  const std::vector<RateLimit> limits = known_rate_limits(directory);
  std::vector<std::string> domains;
  for (const std::string& name : order.names) {
    std::string domain = PublicSuffixes().registered_domain(name);
    if (std::ranges::find(domains, domain) == domains.end()) domains.push_back(std::move(domain));
  }
  std::string found;
  for (const std::string& domain : domains) {
    const int count = issued_in_a_week(*certificates, domain, directory, instant.wall);
    found += (found.empty() ? "" : ", ") + std::to_string(count) + " for " + printable(domain, 80);
  }
  found = "certificates of this storage in the last week: " + found;
  const planner::Time allowed = order.renewal ? ledger.allowed_at(limits, order, instant.wall, 0)
                                              : ledger.allowed_at(limits, order, instant.wall);
  if (allowed > instant.wall) {
    findings.add(Verdict::temporary, "limits", host_of(directory),
                 found + "; the CA's limits do not allow an order before " + base::format_rfc3339(allowed),
                 "Wait until then: culmen renew orders it as soon as it may.");
  } else {
    findings.add(
        Verdict::good, "limits", host_of(directory),
        found + (limits.empty() ? "; no limits of this CA are known here" : "; an order is within the CA's limits"));
  }
  co_return Result<void>();
}

/// nullopt: the CA does not answer, which is a finding.
Flow<Result<std::optional<engine::Session>>> reach(Findings& findings, const CheckupRequest& request,
                                                   std::string directory) {
  Result<engine::Session> session = co_await engine::connect(directory, request.session);
  const std::string host = host_of(directory);
  if (session) {
    findings.add(Verdict::good, "ca", host, "answers");
    co_return std::optional<engine::Session>(*session);
  }
  const Error& error = session.error();
  if (error.code() == Errc::cancelled || error.code() == Errc::invalid_argument) co_return error;
  if (error.code() == Errc::tls_failed) {
    findings.add(Verdict::machine, "ca", host, error.what(),
                 "For a private CA give its root with --server-ca FILE. Otherwise look at the clock, and at what "
                 "stands between.");
  } else {
    findings.add(Verdict::temporary, "ca", host, error.what(),
                 "Look at the way out of this network (firewall, proxy), and at the CA's status page.");
  }
  co_return std::optional<engine::Session>();
}

}  // namespace

}  // namespace doctor

Flow<Result<std::vector<Finding>>> check_up(CheckupRequest request) {
  doctor::Findings findings(request.on_finding);
  Result<std::vector<Identifier>> identifiers = result_of([&] {
    std::vector<Identifier> parsed;
    for (const std::string& name : request.spec.names) parsed.push_back(Identifier::parse(name));
    return parsed;
  });
  if (!identifiers) co_return identifiers.error();
  if (request.spec.cas.empty() || !request.storage)
    co_return Error(Errc::invalid_argument, "checking a certificate", "it has no CA, or there is no storage");
  const std::string directory = resolve_directory_url(request.spec.cas.front());
  Result<std::optional<engine::Session>> session = co_await doctor::reach(findings, request, directory);
  if (!session) co_return session.error();
  doctor::Ca ca;
  ca.is_public =
      std::ranges::any_of(known_cas(), [&](const KnownCa& known) { return known.directory_url == directory; });
  ca.host = doctor::host_of(directory);
  if (*session) {
    Result<void> clock = co_await doctor::check_clock(findings, directory);
    if (!clock) co_return clock.error();
    Result<std::optional<Account>> account = co_await doctor::check_account(findings, request, **session);
    if (!account) co_return account.error();
    Result<void> limits = co_await doctor::check_limits(findings, request, **session, *account);
    if (!limits) co_return limits.error();
    ca.answers = true;
    ca.identities = (*session)->directory().meta.caa_identities;
    if (*account) ca.account = **account;
  }
  Result<void> names = co_await doctor::check_names(findings, request, ca, *identifiers);
  if (!names) co_return names.error();
  co_return findings.all();
}

}  // namespace culmen
