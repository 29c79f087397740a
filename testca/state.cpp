#include "testca/state.hpp"

#include <array>

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

bool State::chance(int percent) {
  // Not std::uniform_int_distribution: its results differ between standard libraries, a seed's must not.
  return percent > 0 && static_cast<int>(generator_() % 100) < percent;
}

Account* State::find_account(std::string_view id) {
  auto found = accounts.find(id);
  return found == accounts.end() ? nullptr : found->second.get();
}

Account* State::account_of_key(std::string_view thumbprint) {
  auto found = account_by_thumbprint.find(thumbprint);
  return found == account_by_thumbprint.end() ? nullptr : found->second;
}

}  // namespace culmen::testca
