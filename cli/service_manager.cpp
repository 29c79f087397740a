#include "service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace culmen::cli {

namespace {

/// The value, and the variable is gone.
std::string taken(const char* variable) {
  const char* const value = getenv(variable);
  std::string text = value ? value : "";
  unsetenv(variable);
  return text;
}

std::optional<long long> number_in(const std::string& text) {
  long long number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number <= 0) return std::nullopt;
  return number;
}

}  // namespace

ServiceManager::ServiceManager() : address_(taken("NOTIFY_SOCKET")) {
  const std::optional<long long> interval = number_in(taken("WATCHDOG_USEC"));
  const std::string process = taken("WATCHDOG_PID");
  if (address_.empty() || (address_.front() != '/' && address_.front() != '@')) return;
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) return;
  socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // sd_watchdog_enabled(3): it may be meant for another process.
  if (interval && (process.empty() || process == std::to_string(getpid())))
    watchdog_ = std::chrono::microseconds(*interval) / 2;
}

ServiceManager::~ServiceManager() {
  if (socket_ >= 0) close(socket_);
}

void ServiceManager::send(std::string_view text) {
  if (socket_ < 0) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, address_.data(), address_.size());
  if (address_.front() == '@') address.sun_path[0] = '\0';  // an abstract socket: unix(7)
  const std::size_t size = offsetof(sockaddr_un, sun_path) + address_.size();
  // It cannot be helped if nobody listens.
  [[maybe_unused]] const auto sent = sendto(socket_, text.data(), text.size(), MSG_NOSIGNAL,
                                            reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size));
}

void ServiceManager::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long microseconds = static_cast<long long>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

void ServiceManager::status(const std::string& text) {
  if (text == status_) return;
  status_ = text;
  send("STATUS=" + text);
}

void ServiceManager::alive() {
  const auto now = std::chrono::steady_clock::now();
  if (!watchdog_ || now < alive_at_) return;
  alive_at_ = now + *watchdog_;
  send("WATCHDOG=1");
}

}  // namespace culmen::cli
