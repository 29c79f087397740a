// Where events go: to on_event, and as text to the log.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "culmen/manager_options.hpp"

namespace culmen::manager {

/// An event; the caller adds what else is known.
ManagerEvent make_event(ManagerEvent::Kind kind, planner::Time at, std::string detail = {});

/// Calls the callbacks, and ignores what they throw.
class Reporter {
 public:
  explicit Reporter(const ManagerOptions& options) : on_event_(options.on_event), log_(options.log) {}
  void say(const ManagerEvent& event) const noexcept;
  void log(LogLevel level, std::string_view text) const noexcept;

 private:
  std::function<void(const ManagerEvent&)> on_event_;
  std::function<void(LogLevel, std::string_view)> log_;
};

}  // namespace culmen::manager
