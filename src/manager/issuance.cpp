#include "manager/issuance.hpp"

#include <algorithm>

namespace culmen::manager {

namespace {
constexpr std::chrono::seconds longest_held_pause(30);
}  // namespace

planner::Duration held_pause(const Entry& entry) {
  planner::Duration pause = longest_held_pause;
  if (entry.live > 0) pause = std::min(pause, planner::lifetime(entry.not_before, entry.not_after) / 20);
  return std::max<planner::Duration>(pause, std::chrono::seconds(1));
}

std::vector<std::string> names_of(const std::vector<Identifier>& identifiers) {
  std::vector<std::string> names;
  for (const Identifier& identifier : identifiers) names.push_back(identifier.value);
  return canonical_names(names);
}

}  // namespace culmen::manager
