// Short-term, automatically renewed certificates (STAR, RFC 8739).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "culmen/identifier.hpp"
#include "culmen/order.hpp"

namespace culmen {

/// What to order. Dates are RFC 3339 texts, as the RFC and the CLI have them.
struct StarOrderParams {
  StarOrderParams(std::vector<Identifier> identifiers_, std::string end_date_, std::chrono::seconds lifetime_)
      : identifiers(std::move(identifiers_)), end_date(std::move(end_date_)), lifetime(lifetime_) {}
  std::vector<Identifier> identifiers;
  std::string end_date;                     ///< Latest notAfter of the last certificate.
  std::chrono::seconds lifetime;            ///< Of each certificate.
  std::string start_date;                   ///< Empty: as soon as authorized.
  std::chrono::seconds lifetime_adjust{0};  ///< How far each certificate is predated; 0 is left out.
  bool allow_certificate_get = false;       ///< Ask for download without an account.
  std::string delegation;                   ///< As in OrderRequest (RFC 9115); wants `allow_certificate_get`.
};

/// A STAR order as the server last showed it. Authorizations and finalize() work as with any order.
struct StarOrder : Order {
  StarOrder() = default;
  std::optional<TimePoint> start_date;
  std::optional<TimePoint> end_date;
  std::chrono::seconds lifetime{0};
  std::chrono::seconds lifetime_adjust{0};
};

/// The current certificate of a STAR order.
struct StarCertificate {
  StarCertificate() = default;
  std::string pem;                      ///< Leaf first.
  std::optional<TimePoint> not_before;  ///< Cert-Not-Before (RFC 8739 §3.3).
  std::optional<TimePoint> not_after;   ///< Cert-Not-After.
};

}  // namespace culmen
