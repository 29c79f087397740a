// The solver for tls-alpn-01 (RFC 8737, RFC 8738): a TLS responder of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "culmen/solver.hpp"

namespace culmen {

namespace listen {
class TlsAlpnResponder;
}

/// Answers tls-alpn-01 on a port of its own: TLS 1.2 and 1.3, only the protocol "acme-tls/1", only names presented to
/// it; everything else is refused. Several names at once. present() may be called from any thread.
class TlsAlpn01Solver final : public ChallengeSolver {
 public:
  /// Does not bind yet. Port 0: any free one, see port(). `address` empty: all addresses, IPv6 and IPv4.
  explicit TlsAlpn01Solver(std::uint16_t port = 443, std::string address = {});
  /// Stops.
  ~TlsAlpn01Solver() override;

  /// Binds, and serves on the executor of the awaiting coroutine. Throws Error (io_failed) as Http01Solver::start()
  /// does.
  boost::asio::awaitable<void> start();
  /// Binds, and serves on a thread of its own: for blocking programs.
  void start_thread();
  std::uint16_t port() const noexcept;

  /// Makes a self-signed certificate (P-256) for `domain`, which is a DNS name (`id_type` "dns") or an IP address
  /// ("ip"), and shows it to those who ask for it. Throws Error (invalid_argument) for a wildcard (RFC 8737 §3).
  boost::asio::awaitable<void> present(std::string domain, std::string id_type, std::string key_authorization);
  /// The same at once, without a coroutine.
  void add(std::string_view domain, std::string_view id_type, std::string_view key_authorization);
  void remove(std::string_view domain, std::string_view id_type);
  /// Stops serving, lets go of the port and forgets all names. Does nothing before start; may be called twice.
  void cleanup() noexcept;

  std::string_view type() const noexcept override { return "tls-alpn-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  std::uint16_t wanted_port_;
  std::string address_;
  std::shared_ptr<listen::TlsAlpnResponder> responder_;
};

}  // namespace culmen
