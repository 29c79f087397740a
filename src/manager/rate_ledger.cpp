// Token buckets. A bucket is one time: when it will be full again, as nothing refills what was not used.
#include "culmen/rate_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>

#include "base/text.hpp"
#include "culmen/directory.hpp"
#include "manager/limits.hpp"

namespace culmen {

namespace {

using planner::bounded;
using planner::Duration;
using planner::Time;
using std::chrono::hours;
using std::chrono::seconds;

constexpr seconds week = hours(7 * 24);
constexpr seconds longest_refusal = week;
constexpr std::size_t most_uses = 2'000;

/// The limits of the CAs that publish them. Let's Encrypt: https://letsencrypt.org/docs/rate-limits/ and
/// https://letsencrypt.org/docs/staging-environment/, as of August 2026. The staging environment's 30,000 certificates
/// a second for each registered domain are no limit for one client.
struct KnownLimit {
  std::string_view ca;  ///< As in known_cas().
  std::string_view name;
  RateLimit::Scope scope;
  RateLimit::Counts counts;
  double capacity;
  seconds window;
  bool renewals_exempt, ari_renewals_exempt;
};

constexpr KnownLimit known_limits[] = {
    {"letsencrypt", "orders-per-account", RateLimit::Scope::account, RateLimit::Counts::orders, 300, hours(3), true,
     true},
    {"letsencrypt", "certificates-per-registered-domain", RateLimit::Scope::registered_domain,
     RateLimit::Counts::certificates, 50, week, true, true},
    {"letsencrypt", "certificates-per-identifier-set", RateLimit::Scope::identifier_set,
     RateLimit::Counts::certificates, 5, week, false, true},
    {"letsencrypt", "failed-validations-per-identifier", RateLimit::Scope::identifier,
     RateLimit::Counts::failed_validations, 5, hours(1), false, false},
    {"letsencrypt-staging", "orders-per-account", RateLimit::Scope::account, RateLimit::Counts::orders, 1'500, hours(3),
     true, true},
    {"letsencrypt-staging", "certificates-per-identifier-set", RateLimit::Scope::identifier_set,
     RateLimit::Counts::certificates, 30'000, week, false, true},
    {"letsencrypt-staging", "failed-validations-per-identifier", RateLimit::Scope::identifier,
     RateLimit::Counts::failed_validations, 200, hours(1), false, false},
};

bool is_exempt(const RateLimit& limit, const CountedOrder& order) {
  return (limit.renewals_exempt && order.renewal) || (limit.ari_renewals_exempt && order.ari_renewal);
}

double capacity_of(const RateLimit& limit) {
  return std::isfinite(limit.capacity) ? std::clamp(limit.capacity, 1.0, 1e9) : 1;
}

seconds window_of(const RateLimit& limit) { return std::clamp<seconds>(limit.window, seconds(1), hours(24 * 366)); }

/// How long it takes to refill one.
Duration refill_of(const RateLimit& limit) {
  return planner::part_of(window_of(limit), 1 / capacity_of(limit)) + Duration(1);
}

/// What is later was counted by a clock that was wrong.
bool is_believed(Time empty_at, const RateLimit& limit, Time now) { return empty_at - now <= 2 * window_of(limit); }

/// Short enough for a key, different for different sets.
std::string set_key(const std::vector<std::string>& names) {
  constexpr std::size_t longest = 80;
  std::set<std::string> sorted;
  for (const std::string& name : names) sorted.insert(base::to_lower(name));
  std::string joined;
  std::uint64_t hash = 14'695'981'039'346'656'037u;  // FNV-1a
  for (const std::string& name : sorted) {
    if (!joined.empty()) joined += ',';
    joined += name;
  }
  if (joined.size() <= longest) return joined;
  for (const char c : joined) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
  return joined.substr(0, longest / 2) + "#" + std::to_string(hash);
}

/// The next whole second, so that a caller who waits until then is not a rounding too early.
Time whole_second_after(Time time) { return std::chrono::ceil<seconds>(time); }

/// Keeps at most `most_uses`, those with the largest weight.
template <class Weight>
void keep_weightiest(std::map<std::string, Time>& uses, Weight weight) {
  if (uses.size() <= most_uses) return;
  std::vector<double> weights;
  for (const auto& each : uses) weights.push_back(weight(each));
  const auto last_kept = weights.begin() + static_cast<std::ptrdiff_t>(weights.size() - most_uses);
  std::ranges::nth_element(weights, last_kept);
  const double least = *last_kept;
  const auto kept = std::ranges::count_if(weights, [&](double each) { return each >= least; });
  auto surplus = static_cast<std::size_t>(kept) - most_uses;  // of those that are equal
  std::erase_if(uses, [&](const auto& each) {
    const double own = weight(each);
    if (own != least || surplus == 0) return own < least;
    --surplus;
    return true;
  });
}

}  // namespace

std::vector<RateLimit> known_rate_limits(std::string_view directory_url) {
  std::vector<RateLimit> limits;
  const std::string url = resolve_directory_url(directory_url);
  for (const KnownLimit& known : known_limits) {
    if (resolve_directory_url(known.ca) != url) continue;
    RateLimit limit;
    limit.name = known.name;
    limit.scope = known.scope;
    limit.counts = known.counts;
    limit.capacity = known.capacity;
    limit.window = known.window;
    limit.renewals_exempt = known.renewals_exempt;
    limit.ari_renewals_exempt = known.ari_renewals_exempt;
    limits.push_back(std::move(limit));
  }
  return limits;
}

std::vector<std::string> RateLedger::bucket_keys(const RateLimit& limit, const std::vector<std::string>& names) const {
  std::set<std::string> whom;
  switch (limit.scope) {
    case RateLimit::Scope::account: whom.insert(""); break;
    case RateLimit::Scope::identifier_set: whom.insert(set_key(names)); break;
    case RateLimit::Scope::identifier:
      for (const std::string& name : names) whom.insert(base::to_lower(name));
      break;
    case RateLimit::Scope::registered_domain:
      for (const std::string& name : names) whom.insert(suffixes_.registered_domain(base::to_lower(name)));
      break;
  }
  std::vector<std::string> keys;
  for (const std::string& each : whom) keys.push_back(limit.name + "|" + each);
  return keys;
}

RateLedger::Time RateLedger::allowed_at(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now,
                                        double reserve) const {
  now = bounded(now);
  Time allowed = now;
  for (const std::string& whom : {std::string(), set_key(order.names)}) {
    const auto refused = refused_until_.find(whom);
    if (refused != refused_until_.end() && refused->second - now <= longest_refusal)
      allowed = std::max(allowed, refused->second);
  }
  for (const RateLimit& limit : limits) {
    if (is_exempt(limit, order)) continue;
    const bool reserved = !order.renewal && limit.counts != RateLimit::Counts::failed_validations;
    const double usable = capacity_of(limit) * (reserved ? 1 - planner::fraction(reserve) : 1);
    // What may be in use before one more: never less than nothing, so that one order is always possible.
    const Duration tolerated = planner::part_of(refill_of(limit), std::max(std::floor(usable) - 1, 0.0));
    for (const std::string& key : bucket_keys(limit, order.names)) {
      const auto bucket = empty_at_.find(key);
      if (bucket != empty_at_.end() && is_believed(bucket->second, limit, now))
        allowed = std::max(allowed, bucket->second - tolerated);
    }
  }
  return allowed > now ? whole_second_after(allowed) : now;
}

void RateLedger::count(const std::vector<RateLimit>& limits, RateLimit::Counts counts, const CountedOrder& order,
                       Time now) {
  now = bounded(now);
  for (const RateLimit& limit : limits) {
    if (limit.counts != counts || is_exempt(limit, order)) continue;
    for (const std::string& key : bucket_keys(limit, order.names)) {
      Time& empty_at = empty_at_.try_emplace(key, now).first->second;
      if (!is_believed(empty_at, limit, now)) empty_at = now;
      empty_at = std::max(empty_at, now) + refill_of(limit);
    }
  }
}

void RateLedger::count_order(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now) {
  count(limits, RateLimit::Counts::orders, order, now);
}

void RateLedger::count_certificate(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now) {
  count(limits, RateLimit::Counts::certificates, order, now);
}

void RateLedger::count_failed_validation(const std::vector<RateLimit>& limits, const std::string& name, Time now) {
  CountedOrder order;
  order.names.push_back(name);
  count(limits, RateLimit::Counts::failed_validations, order, now);
}

void RateLedger::refuse_until(Time until, Time now) { refuse_names_until({}, until, now); }

void RateLedger::refuse_names_until(const std::vector<std::string>& names, Time until, Time now) {
  now = bounded(now);
  const Time limited = std::min(bounded(until), now + longest_refusal);
  Time& refused = refused_until_.try_emplace(set_key(names), now).first->second;
  refused = std::max(refused, limited);
}

void RateLedger::prune(const std::vector<RateLimit>& limits, Time now) {
  now = bounded(now);
  std::map<std::string_view, const RateLimit*> by_name;
  for (const RateLimit& limit : limits) by_name[limit.name] = &limit;
  const auto limit_of = [&](std::string_view key) -> const RateLimit* {
    const auto found = by_name.find(key.substr(0, key.find('|')));
    return found == by_name.end() ? nullptr : found->second;
  };
  std::erase_if(refused_until_,
                [&](const auto& each) { return each.second <= now || each.second - now > longest_refusal; });
  std::erase_if(empty_at_, [&](const auto& each) {
    const RateLimit* limit = limit_of(each.first);
    return each.second <= now || !limit || !is_believed(each.second, *limit, now);
  });
  const auto seconds_left = [&](const auto& each) { return std::chrono::duration<double>(each.second - now).count(); };
  keep_weightiest(refused_until_, seconds_left);
  keep_weightiest(empty_at_, [&](const auto& each) {
    return seconds_left(each) / static_cast<double>(window_of(*limit_of(each.first)).count());
  });
}

}  // namespace culmen
