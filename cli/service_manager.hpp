// What systemd is told about a service of Type=notify: sd_notify(3).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace culmen::cli {

/// Nothing is sent if the program was not started by such a service. For one thread.
class ServiceManager {
 public:
  /// Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, and removes them from the environment: programs that are
  /// run later must not speak for the service. To be made before there are threads.
  ServiceManager();
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  void ready() { send("READY=1"); }
  /// To be followed by ready().
  void reloading();
  void stopping() { send("STOPPING=1"); }
  /// One line; sent if it has changed.
  void status(const std::string& text);
  /// To be called at least as often as this; nullopt: no watchdog.
  std::optional<std::chrono::microseconds> watchdog_interval() const noexcept { return watchdog_; }
  /// The service works. Sent no more often than watchdog_interval() asks for.
  void alive();

 private:
  void send(std::string_view text);
  std::string address_;
  int socket_ = -1;
  std::optional<std::chrono::microseconds> watchdog_;
  std::chrono::steady_clock::time_point alive_at_;
  std::string status_;
};

}  // namespace culmen::cli
