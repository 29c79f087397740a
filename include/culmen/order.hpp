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

/// `unknown` is a status that some later RFC defines.
enum class OrderStatus { pending, ready, processing, valid, invalid, canceled, unknown };
std::string_view to_string(OrderStatus status) noexcept;

/// An order as the server last showed it. A plain value.
struct Order {
  Order() = default;
  std::string url;
  OrderStatus status = OrderStatus::unknown;
  std::vector<Identifier> identifiers;      ///< In the server's order, which is not the request's.
  std::vector<std::string> authorizations;  ///< URLs; not one to one with identifiers.
  std::string finalize;
  std::string certificate;  ///< Empty until the order is valid.
  std::optional<Problem> error;
  std::optional<TimePoint> expires;
  std::optional<TimePoint> not_before;
  std::optional<TimePoint> not_after;
  std::string profile;
  std::string replaces;
  std::string star_certificate;                     ///< RFC 8739; empty otherwise.
  std::string delegation;                           ///< URL of the delegation it is for (RFC 9115); empty otherwise.
  bool allow_certificate_get = false;               ///< Granted: the certificate is there without an account.
  std::optional<std::chrono::seconds> retry_after;  ///< With the last answer, clamped.
};

/// What to order.
struct OrderRequest {
  explicit OrderRequest(std::vector<Identifier> identifiers_) : identifiers(std::move(identifiers_)) {}
  std::vector<Identifier> identifiers;
  std::optional<TimePoint> not_before;
  std::optional<TimePoint> not_after;
  std::string profile;   ///< Empty: the CA's default.
  std::string replaces;  ///< CertID of the predecessor (RFC 9773 §5); empty: none.
  /// Names to a domain above them that we control (RFC 9444 §4.2): the CA may let us prove control there instead.
  std::map<std::string, std::string> ancestor_domains;
  /// The type that names of onion services travel as: "dns" (RFC 9799 §2), or "onion" for servers that want that.
  /// Either way they are of type "dns" in what comes back.
  std::string onion_identifier_type = "dns";
  /// URL of the delegation that lets us have these names (RFC 9115 §2.3.2); empty: none. Such an order is ready at once
  /// and has no authorizations. Wants `allow_certificate_get`.
  std::string delegation;
  /// Ask for download without an account (RFC 9115 §2.3.5), as delegation and get_certificate() need it.
  bool allow_certificate_get = false;
};

/// A certificate as downloaded (RFC 8555 §7.4.2). A plain value.
struct CertificateChain {
  CertificateChain() = default;
  std::string pem;                      ///< Leaf first, LF line ends, nothing but CERTIFICATE blocks.
  Certificate leaf;                     ///< The first of them, read.
  std::string url;                      ///< Where this chain came from.
  std::vector<std::string> alternates;  ///< URLs of other chains for the same leaf.
};

}  // namespace culmen
