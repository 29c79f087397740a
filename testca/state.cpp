#include "testca/state.hpp"

#include <array>
#include <set>

#include "base/base64.hpp"

namespace culmen::testca {

std::string_view to_string(AccountState state) noexcept {
  constexpr std::array<std::string_view, 2> names = {"valid", "deactivated"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view to_string(OrderState state) noexcept {
  constexpr std::array<std::string_view, 6> names = {"pending", "ready", "processing", "valid", "invalid", "canceled"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view to_string(AuthzState state) noexcept {
  constexpr std::array<std::string_view, 5> names = {"pending", "valid", "invalid", "deactivated", "expired"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view to_string(ChallengeState state) noexcept {
  constexpr std::array<std::string_view, 4> names = {"pending", "processing", "valid", "invalid"};
  return names[static_cast<std::size_t>(state)];
}

State::State(std::uint64_t seed) {
  if (seed != 0) {
    generator_.seed(seed);
  } else {
    std::random_device device;
    std::seed_seq entropy{device(), device(), device(), device()};
    generator_.seed(entropy);
  }
}

Bytes State::random_octets(std::size_t count) {
  Bytes octets(count);
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 8 == 0) word = generator_();
    octets[i] = static_cast<std::uint8_t>(word >> (8 * (i % 8)));
  }
  return octets;
}

std::string State::random_token() { return base::base64url_encode(random_octets(16)); }

std::string State::random_id() { return base::base64url_encode(random_octets(9)); }

bool State::chance(int percent) { return percent > 0 && percentile() < percent; }

// Not std::uniform_int_distribution: its results differ between standard libraries, a seed's must not.
int State::percentile() { return static_cast<int>(generator_() % 100); }

Account* State::find_account(std::string_view id) {
  auto found = accounts.find(id);
  return found == accounts.end() ? nullptr : found->second.get();
}

Account* State::account_of_key(std::string_view thumbprint) {
  auto found = account_by_thumbprint.find(thumbprint);
  return found == account_by_thumbprint.end() ? nullptr : found->second;
}

void State::forget_expired(TimePoint limit) {
  forget_orders(limit);
  forget_authzs(limit);
  forget_certificates(limit);
}

void State::forget_orders(TimePoint limit) {
  std::set<const Order*> gone;
  for (const auto& [id, order] : orders) {
    // A finalize that is under way holds on to its order.
    const bool in_use = order->state == OrderState::processing || (order->star && order->star->end >= limit);
    if (order->expires < limit && !in_use) gone.insert(order.get());
  }
  if (gone.empty()) return;
  for (const Order* order : gone) {
    // An order without a certificate does not block another replacement.
    const auto predecessor = certificate_by_id.find(order->replaces);
    if (order->certificate || predecessor == certificate_by_id.end()) continue;
    if (predecessor->second->replacement == order->id) predecessor->second->replacement.clear();
  }
  for (const auto& [id, account] : accounts)
    std::erase_if(account->orders, [&](const Order* order) { return gone.contains(order); });
  std::erase_if(orders, [&](const auto& entry) { return gone.contains(entry.second.get()); });
}

void State::forget_authzs(TimePoint limit) {
  std::set<const Authz*> needed, gone;
  for (const auto& [id, order] : orders) needed.insert(order->authzs.begin(), order->authzs.end());
  for (const auto& [id, authz] : authzs)
    if (authz->expires < limit && !needed.contains(authz.get())) gone.insert(authz.get());
  if (gone.empty()) return;
  std::erase_if(challenges, [&](const auto& entry) { return gone.contains(entry.second->authz); });
  std::erase_if(reusable, [&](const auto& entry) { return gone.contains(entry.second); });
  std::erase_if(authzs, [&](const auto& entry) { return gone.contains(entry.second.get()); });
}

void State::forget_certificates(TimePoint limit) {
  std::set<const IssuedCertificate*> needed, gone;
  for (const auto& [id, order] : orders) needed.insert(order->certificate);
  for (const auto& [id, certificate] : certificates)
    if (certificate->not_after < limit && !needed.contains(certificate.get())) gone.insert(certificate.get());
  if (gone.empty()) return;
  const auto is_gone = [&](const auto& entry) { return gone.contains(entry.second); };
  std::erase_if(certificate_by_der, is_gone);
  std::erase_if(certificate_by_id, is_gone);
  std::erase_if(issued_in_order, [&](const IssuedCertificate* certificate) { return gone.contains(certificate); });
  std::erase_if(certificates, [&](const auto& entry) { return gone.contains(entry.second.get()); });
}

}  // namespace culmen::testca
