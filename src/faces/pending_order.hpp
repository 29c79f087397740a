// What is kept of an order between the moment its key is made and the moment its certificate is saved.
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

/// Not under the name itself, where the key belongs to the certificate that is in use until the new one is here.
void keep_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                        const PendingOrder& pending);
std::optional<PendingOrder> find_pending_order(Persist& persist, const std::string& realm, const std::string& name);

}  // namespace culmen::faces
