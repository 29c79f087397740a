// Short-term, automatically renewed certificates (STAR, RFC 8739).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "culmen/identifier.hpp"
#include "culmen/order.hpp"

namespace culmen {

/// What to order (RFC 8739 §3.1.1). Dates are RFC 3339 texts. A plain value.
struct StarOrderParams {
  StarOrderParams(std::vector<Identifier> identifiers_, std::string end_date_, std::chrono::seconds lifetime_)
      : identifiers(std::move(identifiers_)), end_date(std::move(end_date_)), lifetime(lifetime_) {}
  std::vector<Identifier> identifiers;
  std::string end_date;                     ///< Latest notAfter of the last certificate.
  std::chrono::seconds lifetime;            ///< Of each certificate.
  std::string start_date;                   ///< Empty: as soon as the order is authorized.
  std::chrono::seconds lifetime_adjust{0};  ///< How far each certificate is predated; 0 is not sent.
  bool allow_certificate_get = false;       ///< Request download without an account (RFC 8739 §3.4).
  std::string delegation;                   ///< As in OrderRequest (RFC 9115); requires `allow_certificate_get`.
};

/// A STAR order as last returned by the server. Authorizations and finalize() work as for any order. A plain value.
struct StarOrder : Order {
  StarOrder() = default;
  std::optional<TimePoint> start_date;
  std::optional<TimePoint> end_date;
  std::chrono::seconds lifetime{0};
  std::chrono::seconds lifetime_adjust{0};
};

/// The current certificate of a STAR order. A plain value.
struct StarCertificate {
  StarCertificate() = default;
  std::string pem;                      ///< Leaf first.
  std::optional<TimePoint> not_before;  ///< Cert-Not-Before (RFC 8739 §3.3).
  std::optional<TimePoint> not_after;   ///< Cert-Not-After.
};

}  // namespace culmen
