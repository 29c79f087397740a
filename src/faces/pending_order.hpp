// What is stored of an order from the creation of its key until its certificate is saved.
#pragma once

#include <optional>
#include <string>

#include "culmen/persist.hpp"
#include "culmen/private_key.hpp"

namespace culmen::faces {

struct PendingOrder {
  PendingOrder(std::string order_url_, PrivateKey key_) : order_url(std::move(order_url_)), key(std::move(key_)) {}
  std::string order_url;
  PrivateKey key;
};

/// Stored under a separate name: the key under the name itself belongs to the certificate in use.
void keep_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                        const PendingOrder& pending);
std::optional<PendingOrder> find_pending_order(Persist& persist, const std::string& realm, const std::string& name);

}  // namespace culmen::faces
