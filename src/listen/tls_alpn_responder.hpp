// A TLS server that answers tls-alpn-01 and nothing else (RFC 8737 §3, RFC 8738 §6).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "culmen/identifier.hpp"

namespace culmen::listen {

class Responder;

/// The server name under which a CA asks for an identifier: the name itself, or the reverse name of an address.
/// Throws Error (invalid_argument) on a wildcard and on what is neither.
std::string alpn_server_name(const Identifier& identifier);

/// Every function may be called from any thread.
class TlsAlpnResponder {
 public:
  TlsAlpnResponder();
  ~TlsAlpnResponder();
  TlsAlpnResponder(const TlsAlpnResponder&) = delete;
  TlsAlpnResponder& operator=(const TlsAlpnResponder&) = delete;

  /// Makes a key and a certificate for the identifier; replaces what was shown for it. Throws Error (invalid_argument,
  /// crypto_failed).
  void add(const Identifier& identifier, std::string_view key_authorization);
  void remove(const Identifier& identifier) noexcept;
  void clear() noexcept;

  /// As Responder has them.
  void start(const boost::asio::any_io_executor& executor, std::uint16_t port, const std::string& address);
  void start_thread(std::uint16_t port, const std::string& address);
  std::uint16_t port() const noexcept;
  void stop() noexcept;

 private:
  class Names;
  class TlsConnection;
  std::shared_ptr<Names> names_;
  std::unique_ptr<Responder> responder_;
};

}  // namespace culmen::listen
