// What happens in a run: chosen by its world and its seed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <utility>
#include <vector>

#include "simulation/manager_simulation.hpp"
#include "simulation/monitor.hpp"
#include "simulation/scripted_ca.hpp"

namespace culmen::simulation {

inline constexpr Time start{std::chrono::seconds(1'790'000'000)};
inline constexpr std::int64_t day = 86'400;
inline constexpr std::int64_t short_lived = 3 * day;  // and below: the limits of a private CA

/// What happens in a run.
struct Script {
  explicit Script(Options options_) : options(std::move(options_)) {}
  Options options;
  std::vector<CaScript> cas;
  bool starts_empty = false;
  bool real_engine = false;
  Intervals storage_down;
  std::chrono::milliseconds storage_delay{0};
  unsigned emergency_per_hour = 300;
  double storage_faults = 0;        ///< Share of the calls.
  double pause_at_issuing = 0;      ///< Share of the issuances in which the manager stands still for minutes.
  double crash_at_issuing = 0;      ///< Share of the issuances in which the manager is killed.
  std::size_t most_asks_alive = 0;  ///< It is killed after that many, or fewer.
  struct ClockStep {
    Time at;
    std::size_t manager = 0;
    Duration error{0};
  };
  std::vector<ClockStep> clock_steps;
  struct Pause {
    Time at;
    std::size_t manager = 0;
    Duration duration{0};
  };
  std::vector<Pause> pauses;

  Time end() const { return start + std::chrono::seconds(static_cast<std::int64_t>(options.days * day)); }
  std::chrono::seconds lifetime() const { return std::chrono::seconds(options.lifetime); }
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  double share() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  std::uint64_t seed() { return random_(); }
  bool chance(double probability) { return share() < probability; }
  std::chrono::seconds between(std::chrono::seconds from, std::chrono::seconds to) {
    return from + std::chrono::seconds(static_cast<std::int64_t>(share() * static_cast<double>((to - from).count())));
  }
  template <class T>
  T one_of(std::initializer_list<T> of) {
    return *(of.begin() + number(of.size()));
  }

 private:
  std::mt19937_64 random_;
};

/// What these options stand for. Throws Error (invalid_argument) for a world that does not exist.
Script script_of(const Options& options);

}  // namespace culmen::simulation
