// What a simulation of managers watches, and what it finds wrong.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "simulation/process_driver.hpp"

namespace culmen::simulation {

/// Times from `first` to before `second`.
using Interval = std::pair<Time, Time>;
using Intervals = std::vector<Interval>;

bool contains(const Intervals& intervals, Time time);
/// Sorted, and without overlaps.
Intervals merged(Intervals intervals);

/// "day 12 03:04:05" since the start of the simulation.
std::string in_days(Duration elapsed);

/// The names of the simulation by number, and back.
std::string name_of(std::size_t number);
/// nullopt if `name` is not one of ours.
std::optional<std::size_t> number_of(std::string_view name);

/// Collects failures, the events that led to them, and what explains a second order: crashes, lost answers and others.
class Monitor {
 public:
  static constexpr std::size_t nobody = SIZE_MAX;  ///< In place of a name's number: it concerns all.

  Monitor(const ProcessDriver& driver, std::size_t names, bool keep_history)
      : driver_(driver), histories_(keep_history ? names : 0), disturbances_(names), kept_(keep_history) {}

  bool keeps_history() const noexcept { return kept_; }
  /// Something happened to that name. `code` and the time are part of the hash.
  void note(std::size_t name, std::uint64_t code, std::string_view text);
  /// An assertion does not hold.
  void fail(std::size_t name, std::string text);
  /// A crash, a lost answer, a pause, …: what happens because of it is explained.
  void disturb(std::size_t name, std::string_view what);
  void step_clock(std::string_view what);
  /// Whether something of the kind, or a step of the clock, concerned the name in that time.
  bool was_disturbed(std::size_t name, Time since, Time until = Time::max()) const;
  bool was_clock_stepped(Time since) const { return !clock_steps_.empty() && clock_steps_.back() >= since; }
  /// The number of disturbances that concern the name.
  std::size_t disturbances(std::size_t name) const;

  const std::vector<std::string>& failures() const noexcept { return failures_; }
  std::size_t failure_count() const noexcept { return failure_count_; }
  std::uint64_t hash() const noexcept { return hash_; }

 private:
  const ProcessDriver& driver_;
  std::vector<std::deque<std::string>> histories_;
  std::deque<std::string> common_;
  std::vector<std::vector<Time>> disturbances_;
  std::vector<Time> all_disturbances_, clock_steps_;
  bool kept_;
  std::vector<std::string> failures_;
  std::size_t failure_count_ = 0;
  std::uint64_t hash_ = 14695981039346656037ULL;
};

}  // namespace culmen::simulation
