#include "faces/pending_order.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "culmen/error.hpp"
#include "culmen/result.hpp"

namespace culmen::faces {

namespace {

constexpr std::string_view order_mark = "order: ";
constexpr std::string_view next_order = "\norder: ";
constexpr std::size_t most_pending = 8;

/// No name in an order contains a "/".
PersistKey pending_key(const std::string& realm, const std::string& name) {
  return {realm, PersistKind::private_key, name + "/pending"};
}

void put_orders(Persist& persist, const std::string& realm, const std::string& name,
                const std::vector<PendingOrder>& orders) {
  // One value, so that key and order are never of different orders.
  std::string value;
  for (const PendingOrder& order : orders)
    value += std::string(order_mark) + order.order_url + '\n' + order.key.to_pem();
  persist.put(pending_key(realm, name), value);
}

}  // namespace

std::vector<PendingOrder> find_pending_orders(Persist& persist, const std::string& realm, const std::string& name) {
  const std::optional<std::string> value = persist.get(pending_key(realm, name));
  std::vector<PendingOrder> orders;
  if (!value || value->empty()) return orders;  // empty: the last one was dropped
  std::string_view rest = *value;
  do {
    const std::size_t line_end = rest.find('\n');
    if (!rest.starts_with(order_mark) || line_end == std::string_view::npos) {
      throw Error(Errc::io_failed, "reading the unsaved order of " + printable(name, 260),
                  "what the store has is not as culmen left it");
    }
    const std::string_view url = rest.substr(order_mark.size(), line_end - order_mark.size());
    const std::size_t order_end = std::min(rest.find(next_order, line_end), rest.size() - 1) + 1;
    orders.emplace_back(std::string(url), PrivateKey::from_pem(rest.substr(line_end, order_end - line_end)));
    rest.remove_prefix(order_end);
  } while (!rest.empty());
  return orders;
}

bool is_saved(Persist& persist, const std::string& realm, const std::string& name, const PrivateKey& key) {
  const std::optional<std::string> saved = persist.get({realm, PersistKind::private_key, name});
  return saved && PrivateKey::from_pem(*saved).same_key_as(key);
}

void keep_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                        const PendingOrder& pending) {
  std::vector<PendingOrder> orders = {pending};
  // What is damaged must not stand in the way of a new order.
  const Result<std::vector<PendingOrder>> earlier =
      result_of([&] { return find_pending_orders(persist, realm, name); });
  for (const PendingOrder& order : earlier ? *earlier : std::vector<PendingOrder>()) {
    const Result<bool> saved = result_of([&] { return is_saved(persist, realm, name, order.key); });
    const bool is_over = order.order_url == pending.order_url || (saved && *saved);
    if (!is_over && orders.size() < most_pending) orders.push_back(order);
  }
  put_orders(persist, realm, name, orders);
}

void forget_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                          std::string_view order_url) {
  std::vector<PendingOrder> orders = find_pending_orders(persist, realm, name);
  const std::size_t erased =
      std::erase_if(orders, [&](const PendingOrder& order) { return order.order_url == order_url; });
  if (erased > 0 && !orders.empty()) put_orders(persist, realm, name, orders);
}

void drop_pending_order(Persist& persist, const std::string& realm, const std::string& name,
                        std::string_view order_url) {
  std::vector<PendingOrder> orders = find_pending_orders(persist, realm, name);
  const std::size_t erased =
      std::erase_if(orders, [&](const PendingOrder& order) { return order.order_url == order_url; });
  if (erased > 0) put_orders(persist, realm, name, orders);
}

}  // namespace culmen::faces
