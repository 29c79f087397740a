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
  halved_retry_after,  ///< A manager asks about renewals twice as often as the CA wants.
  forgotten_orders,    ///< What one manager counts of a CA's limits, the other does not see.
  no_throttle,         ///< Emergencies have none.
};
inline constexpr std::array<std::pair<std::string_view, Bug>, 10> bug_names = {{
    {"none", Bug::none},
    {"unfenced-write", Bug::unfenced_write},
    {"two-step-compare", Bug::two_step_compare},
    {"wall-clock-lease", Bug::wall_clock_lease},
    {"sleeping-job", Bug::sleeping_job},
    {"kept-renewal-info", Bug::kept_renewal_info},
    {"forgotten-back-off", Bug::forgotten_back_off},
    {"halved-retry-after", Bug::halved_retry_after},
    {"forgotten-orders", Bug::forgotten_orders},
    {"no-throttle", Bug::no_throttle},
}};

/// The storage with that mistake, as all managers see it; itself if it is not one of a storage.
std::shared_ptr<Storage> with_bug(std::shared_ptr<Storage> storage, Bug bug);
/// The same, as one manager sees it.
std::shared_ptr<Storage> with_own_bug(std::shared_ptr<Storage> storage, Bug bug, std::size_t manager);

}  // namespace culmen::simulation
