// Random facts about certificates, for properties.
#pragma once

#include <limits>
#include <random>

#include "culmen/planner.hpp"

namespace culmen::planner {

using namespace std::chrono_literals;
using days = std::chrono::days;

constexpr Time issued{1'800'000'000s};

inline CertificateFacts living_for(Duration lifetime) {
  CertificateFacts facts;
  facts.not_before = issued;
  facts.not_after = issued + lifetime;
  return facts;
}

/// Times, waits and fractions, the plausible ones and the ones that no sane file holds.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  bool one_in(int n) { return below(n) == 0; }
  std::int64_t below(std::int64_t limit) { return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(engine_); }
  Duration below(Duration limit) { return Duration(below(std::max<std::int64_t>(limit.count(), 1))); }

  Time time(Time around, Duration width) {
    if (one_in(40)) return pick({Time::min(), Time::max(), Time(), Time::max() - 1ns, Time::min() + 1ns});
    return around - width / 2 + below(width);
  }
  double fraction() {
    using Limits = std::numeric_limits<double>;
    if (one_in(20)) return pick({Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(), -1.0, 2.0, 1e300});
    return std::uniform_real_distribution<double>(0, 1)(engine_);
  }
  std::chrono::seconds wait() {
    using std::chrono::seconds;
    if (one_in(20)) return pick({seconds::min(), seconds::max(), seconds(0), seconds(-1)});
    return std::chrono::floor<seconds>(below(pick<Duration>({10s, 1h, days(2)})));
  }
  template <class T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<std::int64_t>(choices.size()))];
  }
  template <class T>
  std::optional<T> maybe(T value) {
    return one_in(3) ? std::nullopt : std::optional<T>(value);
  }

 private:
  std::mt19937_64 engine_;
};

inline CertificateFacts random_facts(Dice& dice) {
  const Duration lifetime =
      dice.pick<Duration>({days(90), days(64), days(47), days(45), 160h, 24h, 1h, 60s, 0s, -1h, days(3650)});
  CertificateFacts facts = living_for(lifetime);
  if (dice.one_in(20)) facts.not_before = dice.time(issued, lifetime);
  if (dice.one_in(20)) facts.not_after = dice.time(issued, lifetime);
  const Duration around = std::max<Duration>(lifetime, 1h);
  RenewalState& state = facts.renewal;
  RenewalInfo info;
  const Time start = issued - around / 2 + dice.below(around * 2);
  info.window_start = dice.time(start, 0s);
  info.window_end = dice.time(start + dice.below(around / dice.pick({1, 10, 50})) - around / 100, 0s);
  info.retry_after = dice.maybe(dice.wait());
  if (dice.one_in(4)) info.explanation_url = "https://ca.test/why";
  state.info = dice.maybe(info);
  state.chosen = dice.maybe(dice.time(start, around / 10));
  state.next_check = dice.maybe(dice.time(issued + around / 2, around * 2));
  state.dice = dice.maybe(dice.fraction());
  state.answered_at = dice.maybe(dice.time(issued + around / 2, around * 2));
  state.window_since = dice.maybe(dice.time(issued + around / 2, around * 2));
  return facts;
}

}  // namespace culmen::planner
