#include "faces/pending_order.hpp"

#include <string_view>

#include "culmen/error.hpp"

namespace culmen::faces {

namespace {
constexpr std::string_view order_mark = "order: ";

/// No name in an order contains a "/".
PersistKey pending_key(const std::string& realm, const std::string& name) {
  return {realm, PersistKind::private_key, name + "/pending"};
}
}  // namespace

void keep_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                        const PendingOrder& pending) {
  // One value, so that key and order are never of different orders.
  persist.put(pending_key(realm, name), std::string(order_mark) + pending.order_url + '\n' + pending.key.to_pem());
}

std::optional<PendingOrder> find_pending_order(Persist& persist, const std::string& realm, const std::string& name) {
  const std::optional<std::string> value = persist.get(pending_key(realm, name));
  if (!value) return std::nullopt;
  const std::size_t end = value->find('\n');
  if (!value->starts_with(order_mark) || end == std::string::npos) {
    throw Error(Errc::io_failed, "reading the unsaved order of " + printable(name, 260),
                "what the store has is not as culmen left it");
  }
  return PendingOrder(value->substr(order_mark.size(), end - order_mark.size()), PrivateKey::from_pem(*value));
}

}  // namespace culmen::faces
