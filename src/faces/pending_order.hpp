// What is stored of an order from the creation of its key until its certificate is saved.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culmen/persist.hpp"
#include "culmen/private_key.hpp"

namespace culmen::faces {

struct PendingOrder {
  PendingOrder(std::string order_url_, PrivateKey key_) : order_url(std::move(order_url_)), key(std::move(key_)) {}
  std::string order_url;
  PrivateKey key;
};

/// Stored under a separate name: the key under the name itself belongs to the certificate in use. Orders for one name
/// stand in one value, the newest first: the stores have no transactions, so call these for one name and realm one at a
/// time. Of more than eight unsaved orders the oldest is dropped.
void keep_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                        const PendingOrder& pending);
/// Its certificate is saved. The last order stays: the stores cannot erase, and its key is known to be saved.
void forget_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                          std::string_view order_url);
/// Its certificate cannot be used, now or later: no order may be left.
void drop_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                        std::string_view order_url);
/// The newest first. Throws Error (io_failed, crypto_failed) if what is stored is damaged.
std::vector<PendingOrder> find_pending_orders(Persist& persist, const std::string& realm, const std::string& name);
/// Whether the key under the name itself is that one.
bool is_saved(Persist& persist, const std::string& realm, const std::string& name, const PrivateKey& key);

}  // namespace culmen::faces
