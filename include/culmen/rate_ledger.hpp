// What CAs allow, and how much of it is used: consulted before a request leaves.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/result.hpp"

namespace culmen {

/// One limit of a CA: `capacity` in a `window`, refilled evenly (a token bucket). A plain value.
struct RateLimit {
  RateLimit() = default;
  bool operator==(const RateLimit&) const = default;
  /// To whom it applies.
  enum class Scope { account, registered_domain, identifier_set, identifier };
  /// What is counted.
  enum class Counts { orders, certificates, failed_validations };

  std::string name;  ///< Such as "orders-per-account".
  Scope scope = Scope::account;
  Counts counts = Counts::orders;
  double capacity = 0;
  std::chrono::seconds window{0};
  bool renewals_exempt = false;      ///< Orders for an identifier set that has a certificate are not counted.
  bool ari_renewals_exempt = false;  ///< Nor are orders that name their predecessor, within its window (RFC 9773 §5).
};

/// The limits of a CA, by its directory URL. Data: `rate_limits_from_json()` reads a file that replaces them. None for
/// a CA that is not known: a private CA has the limits that its operator gives.
std::vector<RateLimit> known_rate_limits(std::string_view directory_url);
/// {"<directory URL or short name>": [{"name", "scope", "counts", "capacity", "window" (seconds), …}]}. Errors are
/// invalid_argument and name the CA, the limit and the member.
Result<std::map<std::string, std::vector<RateLimit>>> rate_limits_from_json(std::string_view json);

/// An order, as limits see it. A plain value.
struct CountedOrder {
  CountedOrder() = default;
  std::vector<std::string> names;
  bool renewal = false;      ///< The same identifier set has a certificate.
  bool ari_renewal = false;  ///< And the order names it, within its window.
};

/// What was used of a CA's limits by one account. A plain value; pure: the time is an argument.
class RateLedger {
 public:
  using Time = std::chrono::system_clock::time_point;

  /// When the order is allowed by all limits; `now` if at once. `reserve` is the part (0 to 1) of each limit that is
  /// kept back for renewals.
  Time allowed_at(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now,
                  double reserve = 0.2) const;
  void count_order(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now);
  void count_certificate(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now);
  void count_failed_validation(const std::vector<RateLimit>& limits, const std::string& name, Time now);
  /// The CA refused orders of this account, or for these names, until then: its own word wins over what was counted.
  void refuse_until(Time until);
  void refuse_names_until(const std::vector<std::string>& names, Time until);

  /// The larger use of both, limit by limit: two processes have counted.
  void merge(const RateLedger& other);
  /// Drops what has no effect any more.
  void prune(const std::vector<RateLimit>& limits, Time now);

  /// As stored under rates_key(), and back; what is not known is ignored.
  std::string to_json() const;
  static Result<RateLedger> from_json(std::string_view json);

 private:
  struct Bucket {
    Bucket() = default;
    double used = 0;  // at `at`
    Time at;
  };
  std::map<std::string, Bucket> buckets_;  // by limit and whom it concerns
  std::map<std::string, Time> refused_until_;
};

/// The registered domain of a DNS name: by the Public Suffix List if the system has one, otherwise the last two labels.
std::string registered_domain(const std::string& name);

}  // namespace culmen
