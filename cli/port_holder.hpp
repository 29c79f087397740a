// Which program listens on a port.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace culmen::cli {

struct PortHolder {
  PortHolder() = default;
  pid_t process = 0;
  std::string program;  ///< As ps shows it, at most 15 characters.
};

/// nullopt when no program listens there, or this user may not see which.
std::optional<PortHolder> holder_of_port(std::uint16_t port);

}  // namespace culmen::cli
