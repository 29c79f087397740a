// Mistakes that a simulation of managers must find, as storages that make them.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/storage.hpp"

namespace culmen::simulation {

enum class Bug {
  none,
  unfenced_write,      ///< The storage does not look at fences.
  two_step_compare,    ///< It compares first, and writes later.
  wall_clock_lease,    ///< It compares the end of a lease with the wall clock of who asks.
  sleeping_job,        ///< A worker waits its back-off in place.
  kept_renewal_info,   ///< A record keeps what the CA said about the predecessor.
  forgotten_back_off,  ///< Failed attempts are not stored.
};
inline constexpr std::array<std::pair<std::string_view, Bug>, 7> bug_names = {{
    {"none", Bug::none},
    {"unfenced-write", Bug::unfenced_write},
    {"two-step-compare", Bug::two_step_compare},
    {"wall-clock-lease", Bug::wall_clock_lease},
    {"sleeping-job", Bug::sleeping_job},
    {"kept-renewal-info", Bug::kept_renewal_info},
    {"forgotten-back-off", Bug::forgotten_back_off},
}};

/// The storage with that mistake; itself if it is not one of a storage.
std::shared_ptr<Storage> with_bug(std::shared_ptr<Storage> storage, Bug bug);

}  // namespace culmen::simulation
