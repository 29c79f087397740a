// Managers in virtual time, in worlds where something goes wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "simulation/planted_bugs.hpp"
#include "simulation/scripted_ca.hpp"

namespace culmen::simulation {

/// A plain value. What is zero or empty is chosen by the seed and the world.
struct Options {
  Options() = default;
  std::uint64_t seed = 1;
  std::string world;  ///< One of worlds().
  std::size_t names = 0;
  double days = 0;
  std::int64_t lifetime = 0;  ///< Of certificates, in seconds.
  std::size_t cas = 0;
  std::size_t managers = 0;
  std::size_t width = 0;
  bool checks = true;  ///< Watch each call of the storage, and keep the last events of each certificate.
  Bug bug = Bug::none;
};

/// A plain value.
struct Outcome {
  Outcome() = default;
  Options options;                    ///< As they were chosen.
  std::vector<std::string> failures;  ///< The first ones, with what led to them.
  std::size_t failure_count = 0;
  ScriptedCas::Counts cas;
  std::size_t expired = 0;  ///< How often a certificate had expired when its successor was installed, or at the end.
  std::size_t crashes = 0;
  std::size_t asks = 0;
  std::size_t stored_octets = 0;  ///< Of the ledgers.
  std::uint64_t hash = 0;         ///< Of all events and their times.
};

/// The names of the worlds, in the order in which seeds choose them.
const std::vector<std::string>& worlds();

/// Throws Error (invalid_argument) for a world that does not exist.
Outcome simulate(const Options& options);

/// The command that shows it again.
std::string command_of(const Options& options);

}  // namespace culmen::simulation
