// What the CA remembers.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "crypto/ca.hpp"
#include "crypto/key.hpp"
#include "culmen/bytes.hpp"
#include "culmen/identifier.hpp"
#include "culmen/problem.hpp"

namespace culmen::testca {

using TimePoint = std::chrono::system_clock::time_point;

// Statuses, as RFC 8555 §7.1.6 names them. The order of each list is that of the names in state.cpp.
enum class AccountState { valid, deactivated };
enum class OrderState { pending, ready, processing, valid, invalid, canceled };
enum class AuthzState { pending, valid, invalid, deactivated, expired };
enum class ChallengeState { pending, processing, valid, invalid };
std::string_view to_string(AccountState state) noexcept;
std::string_view to_string(OrderState state) noexcept;
std::string_view to_string(AuthzState state) noexcept;
std::string_view to_string(ChallengeState state) noexcept;

struct Order;

struct Account {
  Account(std::string id_, crypto::PublicKey key_, std::string thumbprint_)
      : id(std::move(id_)), key(std::move(key_)), thumbprint(std::move(thumbprint_)) {}
  std::string id;
  crypto::PublicKey key;
  std::string thumbprint;
  std::vector<std::string> former_thumbprints;
  AccountState state = AccountState::valid;
  std::vector<std::string> contacts;
  bool terms_agreed = false;
  std::string external_account_binding;  ///< The JWS object as JSON, verified; or empty.
  std::vector<Order*> orders;
};

struct Authz;

struct Challenge {
  Challenge(std::string id_, std::string type_, std::string token_, Authz& authz_)
      : id(std::move(id_)), type(std::move(type_)), token(std::move(token_)), authz(&authz_) {}
  std::string id;
  std::string type;
  std::string token;
  Bytes nonce;  ///< Of onion-csr-01.
  Authz* authz;
  ChallengeState state = ChallengeState::pending;
  TimePoint validated;
  std::optional<Problem> error;
  /// What a validation found, and when that becomes visible.
  struct Outcome {
    Outcome(TimePoint at_, std::optional<Problem> failure_) : at(at_), failure(std::move(failure_)) {}
    TimePoint at;
    std::optional<Problem> failure;
  };
  std::optional<Outcome> outcome;
};

struct Authz {
  Authz(std::string id_, Account& account_, Identifier identifier_, bool wildcard_)
      : id(std::move(id_)), account(&account_), identifier(std::move(identifier_)), wildcard(wildcard_) {}
  std::string id;
  Account* account;
  Identifier identifier;  ///< Without "*.".
  bool wildcard;
  AuthzState state = AuthzState::pending;
  TimePoint expires;
  std::vector<std::unique_ptr<Challenge>> challenges;
  std::optional<TimePoint> token_expires;  ///< When what proved it ceases to (RFC 9447).
  bool subdomains = false;                 ///< It serves for names below (RFC 9444).
  bool pre_authorized = false;
  int looks_pending = 0;  ///< Reads for which a valid authorization still says pending.
};

struct IssuedCertificate {
  IssuedCertificate(std::string id_, Account& account_) : id(std::move(id_)), account(&account_) {}
  std::string id;
  Account* account;
  Bytes der;
  std::string pem;
  std::vector<Identifier> identifiers;
  std::string key_thumbprint;
  TimePoint not_before, not_after;
  bool allow_get = false;                                         ///< Of its order.
  bool is_star = false;                                           ///< Its order is a STAR order.
  std::string replacement;                                        ///< The last order that names it as its predecessor.
  std::optional<std::pair<TimePoint, TimePoint>> renewal_window;  ///< In place of the usual one (RFC 9773).
  bool revoked = false;
  std::optional<int> revocation_reason;
};

/// What a STAR order asks for (RFC 8739 §3.1.1), and what became of it.
struct StarRenewal {
  StarRenewal() = default;
  std::optional<TimePoint> start;
  TimePoint end;
  std::chrono::seconds lifetime{0}, adjust{0};
  bool allow_get = false;
  crypto::CertificateTemplate what;  ///< Of each certificate, but for serial and times.
  TimePoint first;                   ///< The first nominal renewal date.
  std::int64_t issued = -1;          ///< The number of the current certificate, from 0.
};

struct Order {
  Order(std::string id_, Account& account_) : id(std::move(id_)), account(&account_) {}
  std::string id;
  Account* account;
  std::vector<Identifier> identifiers;
  std::vector<Authz*> authzs;
  OrderState state = OrderState::pending;
  TimePoint expires;
  std::string not_before, not_after;  ///< As asked for, or empty.
  std::string profile;
  std::string replaces;  ///< The predecessor's CertID (RFC 9773 §5), or empty.
  std::optional<StarRenewal> star;
  std::optional<std::size_t> delegation;  ///< Which of TestCaOptions::delegations it is for (RFC 9115).
  bool allow_get = false;                 ///< The certificate is there without an account.
  std::optional<Problem> error;
  IssuedCertificate* certificate = nullptr;
  int looks_processing = 0;  ///< Reads for which a valid order still says processing.
  TimePoint issued;          ///< Until then it says so, too.
  bool raced = false;        ///< The ready race has been played on it.
};

/// Everything, and the generator of what must look random. Guarded by the mutex of AcmeServer.
/// Nothing is erased but by forget_expired(): pointers into the maps stay good until then.
class State {
 public:
  explicit State(std::uint64_t seed);

  Bytes random_octets(std::size_t count);
  /// 22 characters, 128 bits.
  std::string random_token();
  /// Short, for URLs.
  std::string random_id();
  bool chance(int percent);
  /// 0 to 99.
  int percentile();

  Account* find_account(std::string_view id);
  Account* account_of_key(std::string_view thumbprint);

  /// Erases orders, authorizations and certificates that expired before `limit` and that nothing else refers to.
  void forget_expired(TimePoint limit);

  std::map<std::string, std::unique_ptr<Account>, std::less<>> accounts;
  std::map<std::string, Account*, std::less<>> account_by_thumbprint;  ///< Current keys only.
  std::map<std::string, std::unique_ptr<Order>, std::less<>> orders;
  std::map<std::string, std::unique_ptr<Authz>, std::less<>> authzs;
  std::map<std::string, Challenge*, std::less<>> challenges;
  std::map<std::string, std::unique_ptr<IssuedCertificate>, std::less<>> certificates;
  std::map<Bytes, IssuedCertificate*> certificate_by_der;
  std::map<std::string, IssuedCertificate*, std::less<>> certificate_by_id;  ///< By CertID (RFC 9773 §4.1).
  std::vector<IssuedCertificate*> issued_in_order;
  /// Authorizations an order may reuse: account id, identifier, wildcard.
  std::map<std::tuple<std::string, Identifier, bool>, Authz*> reusable;

 private:
  void forget_orders(TimePoint limit);
  void forget_authzs(TimePoint limit);
  void forget_certificates(TimePoint limit);

  std::mt19937_64 generator_;
};

}  // namespace culmen::testca
