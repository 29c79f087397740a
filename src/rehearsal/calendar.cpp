#include <algorithm>
#include <chrono>
#include <random>

#include "culmen/directory.hpp"
#include "culmen/rehearsal.hpp"

namespace culmen {

namespace {
using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::sys_days;

constexpr hours day(24);

constexpr planner::Time date(int year, unsigned month, unsigned day_of_month) {
  return sys_days(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day_of_month));
}

CaTerms terms_of(std::string_view ca, const char* profile, planner::Time from, seconds certificate,
                 seconds authorization) {
  CaTerms terms;
  terms.ca = resolve_directory_url(ca);
  terms.profile = profile;
  terms.from = from;
  terms.certificate_lifetime = certificate;
  terms.authorization_lifetime = authorization;
  return terms;
}

void add_lets_encrypt(std::string_view ca, std::vector<CaTerms>& all) {
  // https://letsencrypt.org/2025/12/02/from-90-to-45, https://letsencrypt.org/docs/profiles
  for (const char* profile : {"", "classic"}) {
    all.push_back(terms_of(ca, profile, planner::Time(), 90 * day, 30 * day));
    all.push_back(terms_of(ca, profile, date(2027, 2, 10), 64 * day, 10 * day));
    all.push_back(terms_of(ca, profile, date(2028, 2, 16), 45 * day, hours(7)));
  }
  all.push_back(terms_of(ca, "tlsserver", planner::Time(), 45 * day, hours(7)));
  all.push_back(terms_of(ca, "shortlived", planner::Time(), hours(160), hours(7)));
}
}  // namespace

const std::vector<CaTerms>& known_ca_terms() {
  static const std::vector<CaTerms> all = [] {
    std::vector<CaTerms> terms;
    add_lets_encrypt("letsencrypt", terms);
    add_lets_encrypt("letsencrypt-staging", terms);
    return terms;
  }();
  return all;
}

const CaTerms* ca_terms_at(const std::vector<CaTerms>& terms, std::string_view ca, std::string_view profile,
                           planner::Time at) {
  const CaTerms* found = nullptr;
  for (const CaTerms& each : terms) {
    if (each.ca != ca || each.profile != profile || each.from > at) continue;
    if (!found || each.from >= found->from) found = &each;
  }
  return found;
}

seconds longest_public_lifetime(planner::Time at) {
  if (at < date(2026, 3, 15)) return 398 * day;
  if (at < date(2027, 3, 15)) return 200 * day;
  if (at < date(2029, 3, 15)) return 100 * day;
  return 47 * day;
}

std::vector<CaOutage> random_outages(std::size_t count, std::uint64_t seed, planner::Time from, planner::Time until) {
  std::mt19937_64 random(seed);
  const auto span = static_cast<std::uint64_t>(std::max<std::int64_t>(1, (until - from) / hours(1)));
  std::vector<CaOutage> outages(count);
  for (CaOutage& outage : outages) {
    outage.from = from + hours(static_cast<std::int64_t>(random() % span));
    outage.until = outage.from + hours(static_cast<std::int64_t>(1 + random() % 72));
  }
  std::ranges::sort(outages, {}, &CaOutage::from);
  return outages;
}

std::optional<RehearsedCertificate::Margin> RehearsedCertificate::least_margin(planner::Time end) const {
  std::optional<Margin> least;
  for (std::size_t i = 0; i < lives.size(); ++i) {
    const bool has_successor = i + 1 < lives.size();
    Margin margin;
    margin.at = has_successor ? lives[i + 1].from : end;
    margin.left = std::chrono::floor<seconds>(lives[i].until - margin.at);
    if (!has_successor && margin.left >= seconds(0)) break;
    if (!least || margin.left < least->left) least = margin;
  }
  return least;
}

bool RehearsedCertificate::is_outlasted(const Trouble& trouble, planner::Time end) const {
  if (lives.empty() || (trouble.attempts > 0 && !trouble.in_outage)) return false;
  const planner::Time over = trouble.until.value_or(end);
  for (const planner::Time& each : late)
    if (each >= trouble.from && each <= over) return false;
  for (std::size_t i = 0; i < lives.size(); ++i) {
    const planner::Time replaced = i + 1 < lives.size() ? lives[i + 1].from : end;
    if (lives[i].until < replaced && lives[i].until <= over && replaced >= trouble.from) return false;
  }
  return true;
}

bool RehearsedCertificate::fails(planner::Time end) const {
  if (lives.empty() || !late.empty()) return true;
  if (const std::optional<Margin> least = least_margin(end); least && least->left <= seconds(0)) return true;
  return std::ranges::any_of(troubles,
                             [](const Trouble& trouble) { return trouble.attempts > 0 && !trouble.in_outage; });
}

}  // namespace culmen
