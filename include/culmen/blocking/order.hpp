// An order on its way: new, ready for a key, issued.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/blocking/account.hpp"
#include "culmen/blocking/authorization.hpp"
#include "culmen/blocking/certificate.hpp"
#include "culmen/order.hpp"
#include "culmen/private_key.hpp"

namespace culmen::blocking {

/// An order whose certificate is issued. A handle, as AccountHandle is one.
class CertOrder {
 public:
  /// Downloads the certificate and keeps it with its key, both or none, under the name the order was placed with.
  CertificateWithKey download_and_save_cert(CancelToken cancel = CancelToken::never()) const;
  /// Downloads it, and keeps nothing.
  CertificateWithKey download_cert(CancelToken cancel = CancelToken::never()) const;

  const Order& api_order() const noexcept { return order_; }

  // For the rest of this face.
  CertOrder(AccountHandle account, std::string primary_name, Order order, PrivateKey key);

 private:
  AccountHandle account_;
  std::string primary_name_;
  Order order_;
  PrivateKey key_;
};

/// An order whose names are all validated. A handle, as AccountHandle is one.
class CsrOrder {
 public:
  /// Asks for the certificate of `key`, and waits until it is issued: looks every `delay`, or when the CA says, which
  /// wins. The key is kept before the request leaves (see AccountHandle::unsaved_order). Throws Error: order_invalid
  /// when the CA refuses; deadline when it is not done after `limit`, or asks to wait past it.
  CertOrder finalize_pkey(PrivateKey key, std::chrono::milliseconds delay,
                          std::chrono::seconds limit = std::chrono::seconds(120),
                          CancelToken cancel = CancelToken::never()) const;
  /// The same with a key as PEM.
  CertOrder finalize(std::string_view private_key_pem, std::chrono::milliseconds delay,
                     std::chrono::seconds limit = std::chrono::seconds(120),
                     CancelToken cancel = CancelToken::never()) const;

  const Order& api_order() const noexcept { return order_; }

  // For the rest of this face.
  CsrOrder(AccountHandle account, std::string primary_name, std::vector<Identifier> identifiers, Order order);

 private:
  AccountHandle account_;
  std::string primary_name_;
  std::vector<Identifier> identifiers_;
  Order order_;
};

/// An order just placed. Answer a challenge of each authorization that needs one, then refresh(). Not safe to refresh
/// from several threads at once.
class NewOrder {
 public:
  /// The order's next form once all is proven, which may be at once; nullopt until then. Asks nobody.
  std::optional<CsrOrder> confirm_validations() const;
  /// Whether all was proven when the CA last showed the order. Asks nobody.
  bool is_validated() const noexcept;

  /// Asks the CA how the order stands. Throws Error (order_invalid), with the CA's reasons, when nothing will come of
  /// it. While the order stays as it is, each call waits a little longer before it asks, five seconds at most, or for
  /// as long as the CA says, a minute at most: so a loop around it does no harm.
  void refresh(CancelToken cancel = CancelToken::never());

  /// One for each name, in the CA's order; there may be fewer than names.
  std::vector<Auth> authorizations(CancelToken cancel = CancelToken::never()) const;

  const Order& api_order() const noexcept { return order_; }

  // For the rest of this face.
  NewOrder(AccountHandle account, std::string primary_name, std::vector<Identifier> identifiers, Order order);

 private:
  AccountHandle account_;
  std::string primary_name_;
  std::vector<Identifier> identifiers_;
  Order order_;
  std::chrono::milliseconds backoff_{0};
};

}  // namespace culmen::blocking
