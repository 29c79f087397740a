// Orders (RFC 8555 §7.1.3, §7.4).
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/identifier.hpp"
#include "culmen/problem.hpp"

namespace culmen {

using TimePoint = std::chrono::system_clock::time_point;

/// `unknown` is any status that culmen does not know.
enum class OrderStatus { pending, ready, processing, valid, invalid, canceled, unknown };
std::string_view to_string(OrderStatus status) noexcept;

/// An order as last returned by the server (RFC 8555 §7.1.3). A plain value.
struct Order {
  Order() = default;
  std::string url;
  OrderStatus status = OrderStatus::unknown;
  std::vector<Identifier> identifiers;      ///< In the server's order, which may differ from the request.
  std::vector<std::string> authorizations;  ///< URLs; not necessarily one per identifier.
  std::string finalize;
  std::string certificate;  ///< Empty until the order is valid.
  std::optional<Problem> error;
  std::optional<TimePoint> expires;
  std::optional<TimePoint> not_before;
  std::optional<TimePoint> not_after;
  std::string profile;
  std::string replaces;
  std::string star_certificate;                     ///< URL, for STAR orders (RFC 8739); empty if none.
  std::string delegation;                           ///< URL of the order's delegation (RFC 9115); empty if none.
  bool allow_certificate_get = false;               ///< The certificate can be downloaded without an account.
  std::optional<std::chrono::seconds> retry_after;  ///< From the last response, clamped.
};

/// What to order (RFC 8555 §7.4). A plain value.
struct OrderRequest {
  explicit OrderRequest(std::vector<Identifier> identifiers_) : identifiers(std::move(identifiers_)) {}
  std::vector<Identifier> identifiers;
  std::optional<TimePoint> not_before;
  std::optional<TimePoint> not_after;
  std::string profile;   ///< Empty: the CA's default.
  std::string replaces;  ///< CertID of the predecessor (RFC 9773 §5); empty: none.
  /// Name to parent domain (RFC 9444 §4.2): the CA may validate the parent domain instead of the name.
  std::map<std::string, std::string> ancestor_domains;
  /// The identifier type sent for onion services: "dns" (RFC 9799 §2), or "onion" for servers that require it. The type
  /// is "dns" in results either way.
  std::string onion_identifier_type = "dns";
  /// URL of the delegation that covers the names (RFC 9115 §2.3.2); empty: none. Such an order is ready at once and has
  /// no authorizations. Requires `allow_certificate_get`.
  std::string delegation;
  /// Request download without an account (RFC 9115 §2.3.5), for delegations and get_certificate().
  bool allow_certificate_get = false;
};

/// A certificate as downloaded (RFC 8555 §7.4.2). A plain value.
struct CertificateChain {
  CertificateChain() = default;
  std::string pem;                      ///< Leaf first, LF line endings, only CERTIFICATE blocks.
  Certificate leaf;                     ///< The first certificate, parsed.
  std::string url;                      ///< The URL of this chain.
  std::vector<std::string> alternates;  ///< URLs of other chains for the same leaf.
};

}  // namespace culmen
