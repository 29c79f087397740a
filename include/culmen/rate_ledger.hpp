// What CAs allow, and how much of it is used: consulted before a request leaves.
#pragma once

#include <chrono>
#include <map>
#include <memory>
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
/// {"<directory URL or short name>": [{"name", "scope", "counts", "capacity", "window" (seconds), "renewals_exempt",
/// "ari_renewals_exempt"}]}, by directory URL. Errors are invalid_argument and name the CA, the limit and the member.
Result<std::map<std::string, std::vector<RateLimit>>> rate_limits_from_json(std::string_view json);

/// An order, as limits see it. A plain value.
struct CountedOrder {
  CountedOrder() = default;
  std::vector<std::string> names;
  bool renewal = false;      ///< The same identifier set has a certificate.
  bool ari_renewal = false;  ///< And the order names it, within its window.
};

/// Which part of a DNS name is registered: "example.co.uk" of "www.example.co.uk". Copies share the rules; thread-safe.
class PublicSuffixes {
 public:
  /// Without a list: the last two labels.
  PublicSuffixes() = default;
  /// `text` is the content of public_suffix_list.dat, as https://publicsuffix.org/list/ has it; Debian's package
  /// `publicsuffix` installs it in /usr/share/publicsuffix/. Lines that are not rules are ignored.
  explicit PublicSuffixes(std::string_view text);
  /// Whether they share the rules.
  bool operator==(const PublicSuffixes&) const = default;

  /// Of a name in lower case, as A-labels. A public suffix, an IP address and a name of one label are returned as they
  /// are; "*." in front is left out.
  std::string registered_domain(std::string_view name) const;

 private:
  struct Rules;
  std::shared_ptr<const Rules> rules_;
};

/// What was used of a CA's limits by one account. A plain value; pure: the time is an argument.
class RateLedger {
 public:
  using Time = std::chrono::system_clock::time_point;

  RateLedger() = default;
  explicit RateLedger(PublicSuffixes suffixes) : suffixes_(std::move(suffixes)) {}
  bool operator==(const RateLedger&) const = default;

  /// When the order is allowed by all limits; `now` if at once, otherwise a whole second. `reserve` is the part (0 to
  /// 1) of each limit that is kept back for renewals; one order is always possible.
  Time allowed_at(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now,
                  double reserve = 0.2) const;
  /// To be called before the order is sent. Who shares the ledger with other processes stores it first, in place of the
  /// revision that allowed_at() was asked of.
  void count_order(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now);
  void count_certificate(const std::vector<RateLimit>& limits, const CountedOrder& order, Time now);
  void count_failed_validation(const std::vector<RateLimit>& limits, const std::string& name, Time now);
  /// The CA refused orders of this account, or for exactly these names, until then: its own word wins over what was
  /// counted. At most 7 days from now.
  void refuse_until(Time until, Time now);
  void refuse_names_until(const std::vector<std::string>& names, Time until, Time now);

  /// Drops what has no effect any more. Of more than 2,000 uses or refusals, those that matter least go, too, so that
  /// the ledger stays small enough to be stored.
  void prune(const std::vector<RateLimit>& limits, Time now);

  /// As stored under rates_key(), and back; what is not known is ignored. Errors are io_failed. `mark` tells the text
  /// from that of another process that has counted the same: then a lost answer to a write is not taken for a success.
  std::string to_json(std::string_view mark = {}) const;
  static Result<RateLedger> from_json(std::string_view json, PublicSuffixes suffixes = PublicSuffixes());

 private:
  std::vector<std::string> bucket_keys(const RateLimit& limit, const std::vector<std::string>& names) const;
  void count(const std::vector<RateLimit>& limits, RateLimit::Counts counts, const CountedOrder& order, Time now);

  PublicSuffixes suffixes_;
  /// By limit and whom it concerns: when all of its use will be refilled. That is all there is to know of a bucket.
  std::map<std::string, Time> empty_at_;
  std::map<std::string, Time> refused_until_;  ///< By identifier set; "" for all orders.
};

}  // namespace culmen
