// The solver for tls-alpn-01 (RFC 8737, RFC 8738): a built-in TLS server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "culmen/solver.hpp"

namespace culmen {

namespace detail {
struct AsioTypes;  // in culmen/asio/tls_alpn01_solver.hpp
struct SolverServer;
}  // namespace detail
namespace solvers {
class AlpnNames;
class ChallengeServer;
}  // namespace solvers

/// Solves tls-alpn-01 with a built-in TLS server: TLS 1.2 and 1.3, only the protocol "acme-tls/1", and only the names
/// presented; other handshakes are rejected. Serves several names at once. DNS names and IP addresses, not wildcards.
/// Start it before use: present() fails with solver_failed while it does not listen.
///
/// Thread-safe. Must outlive the calls that use it.
class TlsAlpn01Solver final : public ChallengeSolver {
 public:
  /// Does not bind. Port 0: any free port, see port(). Empty `address`: all IPv4 and IPv6 addresses. The CA always
  /// connects to port 443.
  explicit TlsAlpn01Solver(std::uint16_t port = 443, std::string address = {});
  /// Calls cleanup().
  ~TlsAlpn01Solver() override;

  /// Binds, and serves on a thread of the solver until cleanup(). Throws as Http01Solver::start_thread() does.
  void start_thread();
  /// The bound port; 0 while it does not listen.
  std::uint16_t port() const noexcept;

  /// Generates a self-signed certificate (P-256) for `domain`, a DNS name (`id_type` "dns") or an IP address ("ip"),
  /// and serves it to clients that request that name. Throws Error (invalid_argument) for a wildcard (RFC 8737 §3) and
  /// for other types; (crypto_failed).
  void add(std::string_view domain, std::string_view id_type, std::string_view key_authorization);
  /// Stops serving the name. Does nothing if it is not there.
  void remove(std::string_view domain, std::string_view id_type);
  /// Stops serving, frees the port and removes all names. May be called at any time, and repeatedly.
  void cleanup() noexcept;

  std::string_view type() const noexcept override { return "tls-alpn-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

  // With Boost.Asio; include culmen/asio/tls_alpn01_solver.hpp to call these. Each returns a
  // boost::asio::awaitable<void>.

  /// Binds, and serves on the executor of the awaiting coroutine until cleanup() or until its context is destroyed.
  /// Throws as start_thread() does.
  template <class Asio = detail::AsioTypes>
  typename Asio::Awaitable start();
  /// add() as an awaitable.
  template <class Asio = detail::AsioTypes>
  typename Asio::Awaitable present(std::string domain, std::string id_type, std::string key_authorization);

 private:
  friend detail::SolverServer;
  std::uint16_t wanted_port_;
  std::string address_;
  std::shared_ptr<solvers::AlpnNames> names_;
  std::shared_ptr<solvers::ChallengeServer> server_;
};

}  // namespace culmen
