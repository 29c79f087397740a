// A port for two servers: a CA at 127.0.0.1, and a server in front of it at 127.0.0.2.
#pragma once

#include <cstdint>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace culmen::test {

/// Binds a socket to the address, closes it again, and returns its port; 0 if that is not possible.
inline std::uint16_t bindable_port(const char* address, std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  ::inet_pton(AF_INET, address, &at.sin_addr);
  socklen_t size = sizeof at;
  auto* const general = reinterpret_cast<sockaddr*>(&at);
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return 0;
  const bool bound = ::bind(descriptor, general, size) == 0 && ::getsockname(descriptor, general, &size) == 0;
  ::close(descriptor);
  return bound ? ntohs(at.sin_port) : 0;
}

/// A port that is free at both addresses: where another program listens at all addresses, or a connection has just
/// ended, it may be free at one of them only.
inline std::uint16_t twin_port() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::uint16_t port = bindable_port("127.0.0.1", 0);
    if (port != 0 && bindable_port("127.0.0.2", port) == port) return port;
  }
  throw std::runtime_error("no port is free at both 127.0.0.1 and 127.0.0.2");
}

}  // namespace culmen::test
