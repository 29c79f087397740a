// Solvers for http-01 (RFC 8555 §8.3): a responder of its own, or files under a web server's root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "culmen/solver.hpp"

namespace culmen {

namespace detail {
struct AsioTypes;  // in culmen/asio/http01_solver.hpp
struct SolverServer;
}  // namespace detail
namespace solvers {
class ChallengeServer;
class Http01Answers;
}  // namespace solvers

/// Answers http-01 from a small HTTP server of its own. It knows only the tokens presented to it; everything else is
/// 404. Every function may be called from any thread. The solver must outlive the calls that use it.
class Http01Solver final : public ChallengeSolver {
 public:
  /// Does not bind yet. Port 0: any free port, see port(). `address` empty: all addresses, IPv6 and IPv4.
  explicit Http01Solver(std::uint16_t port = 80, std::string address = {});
  /// Stops.
  ~Http01Solver() override;

  /// Binds, and serves on a thread of its own until stop(). Throws Error (io_failed): the port is in use or not
  /// permitted, with what to do about it; (invalid_argument): it has been started already.
  void start_thread();
  /// The bound port; 0 while it does not listen.
  std::uint16_t port() const noexcept;
  /// Stops serving and frees the port. May be called at any time, and twice.
  void stop() noexcept;

  /// Serves the key authorization at the token's URL. Throws Error (invalid_argument) when `token` is not a token.
  void add(std::string_view token, std::string_view key_authorization);
  void remove(std::string_view token);

  std::string_view type() const noexcept override { return "http-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

  // With Boost.Asio; include culmen/asio/http01_solver.hpp to call these. Each returns a boost::asio::awaitable<void>.

  /// Binds, and serves on the executor of the awaiting coroutine until stop(). Throws as start_thread() does.
  template <class Asio = detail::AsioTypes>
  typename Asio::Awaitable start();
  /// add() and remove() as awaitables.
  template <class Asio = detail::AsioTypes>
  typename Asio::Awaitable present(std::string token, std::string key_authorization);
  template <class Asio = detail::AsioTypes>
  typename Asio::Awaitable cleanup(std::string token);

 private:
  friend detail::SolverServer;
  std::uint16_t wanted_port_;
  std::string address_;
  std::shared_ptr<solvers::Http01Answers> answers_;
  std::shared_ptr<solvers::ChallengeServer> server_;
};

/// Answers http-01 by files in `<root>/.well-known/acme-challenge/`, for a web server that is running already. Files
/// are world-readable, written whole, and removed; folders it made are left.
class WebrootSolver final : public ChallengeSolver {
 public:
  explicit WebrootSolver(std::filesystem::path root);

  std::string_view type() const noexcept override { return "http-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  std::filesystem::path folder_;
};

}  // namespace culmen
