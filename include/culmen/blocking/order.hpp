// The stages of an order: new, validated, issued.
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

/// An order whose certificate is issued. Keeps the account's client and store alive. Thread-safe if the store is.
class CertOrder {
 public:
  /// Downloads the certificate, and stores it with its key under the name given to AccountHandle::new_order(). Blocks.
  /// Throws Error, and what the store throws.
  CertificateWithKey download_and_save_cert(CancelToken cancel = CancelToken::never()) const;
  /// Downloads the certificate without storing it. Blocks. Throws Error; (bad_response) if it is not for the key.
  CertificateWithKey download_cert(CancelToken cancel = CancelToken::never()) const;

  const Order& api_order() const noexcept { return order_; }

  // Internal.
  CertOrder(AccountHandle account, std::string primary_name, Order order, PrivateKey key);

 private:
  AccountHandle account_;
  std::string primary_name_;
  Order order_;
  PrivateKey key_;
};

/// An order whose names are all validated. Keeps the account's client and store alive. Thread-safe if the store is.
class CsrOrder {
 public:
  /// Requests the certificate for `key` (RFC 8555 §7.4), and polls until it is issued: every `delay` (at least 200 ms),
  /// or as the CA's Retry-After says. Blocks. The key is stored before the request is sent; see
  /// AccountHandle::unsaved_order(). Throws Error (order_invalid) if the CA rejects the order; (invalid_argument) if it
  /// was finalized before; (deadline) if it takes longer than `limit`, or Retry-After exceeds it; and what the store
  /// throws.
  CertOrder finalize_pkey(PrivateKey key, std::chrono::milliseconds delay,
                          std::chrono::seconds limit = std::chrono::seconds(120),
                          CancelToken cancel = CancelToken::never()) const;
  /// The same with a key as PEM. Also throws as PrivateKey::from_pem() does.
  CertOrder finalize(std::string_view private_key_pem, std::chrono::milliseconds delay,
                     std::chrono::seconds limit = std::chrono::seconds(120),
                     CancelToken cancel = CancelToken::never()) const;

  const Order& api_order() const noexcept { return order_; }

  // Internal.
  CsrOrder(AccountHandle account, std::string primary_name, std::vector<Identifier> identifiers, Order order);

 private:
  AccountHandle account_;
  std::string primary_name_;
  std::vector<Identifier> identifiers_;
  Order order_;
};

/// A new order. Complete a challenge of each authorization that needs one, then call refresh(). Keeps the account's
/// client and store alive. refresh() must not run at the same time as another function of the same object.
class NewOrder {
 public:
  /// The next stage if is_validated(), otherwise nullopt. Sends no request.
  std::optional<CsrOrder> confirm_validations() const;
  /// Whether all names were validated when the CA last returned the order. A new order may be validated at once. An
  /// order that another program has finalized is validated too; CsrOrder::finalize_pkey() then fails. Sends no request.
  bool is_validated() const noexcept;

  /// Fetches the order. Blocks. Throws Error (order_invalid), with the CA's reasons, if the order failed. Safe to call
  /// in a loop: while the order does not change, each call waits longer before the request, up to 5 seconds, or as the
  /// CA's Retry-After says, up to a minute.
  void refresh(CancelToken cancel = CancelToken::never());

  /// Fetches the authorizations, in the CA's order; there may be fewer than names. Blocks. Throws Error: bad_response
  /// if there are more, or one that is not valid is for a name that was not ordered.
  std::vector<Auth> authorizations(CancelToken cancel = CancelToken::never()) const;

  const Order& api_order() const noexcept { return order_; }

  // Internal.
  NewOrder(AccountHandle account, std::string primary_name, std::vector<Identifier> identifiers, Order order);

 private:
  AccountHandle account_;
  std::string primary_name_;
  std::vector<Identifier> identifiers_;
  Order order_;
  std::chrono::milliseconds backoff_{0};
};

}  // namespace culmen::blocking
