// Solvers for http-01 (RFC 8555 §8.3): a built-in HTTP server, or files in the document root of a web server.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
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

/// Solves http-01 with a built-in HTTP server, which serves the tokens presented and answers 404 to everything else.
/// Not for wildcards. Start it before use: present() fails with solver_failed while it does not listen.
///
/// Thread-safe. Must outlive the calls that use it.
class Http01Solver final : public ChallengeSolver {
 public:
  /// Does not bind. Port 0: any free port, see port(). Empty `address`: all IPv4 and IPv6 addresses. The CA always
  /// connects to port 80.
  explicit Http01Solver(std::uint16_t port = 80, std::string address = {});
  /// Calls stop().
  ~Http01Solver() override;

  /// Binds, and serves on a thread of the solver until stop(). Throws Error (io_failed) if the port is in use or not
  /// permitted, and says what to do; (invalid_argument) if it is already started, or `address` is not an IP address.
  void start_thread();
  /// The bound port; 0 while it does not listen.
  std::uint16_t port() const noexcept;
  /// Stops serving and frees the port. May be called at any time, and repeatedly.
  void stop() noexcept;

  /// Serves the key authorization at the token's URL. Throws Error (invalid_argument) if `token` is not a valid token.
  void add(std::string_view token, std::string_view key_authorization);
  /// Stops serving the token. Does nothing if it is not there.
  void remove(std::string_view token);

  std::string_view type() const noexcept override { return "http-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

  // With Boost.Asio; include culmen/asio/http01_solver.hpp to call these. Each returns a boost::asio::awaitable<void>.

  /// Binds, and serves on the executor of the awaiting coroutine until stop() or until its context is destroyed. Throws
  /// as start_thread() does.
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

/// Solves http-01 with files in `<root>/.well-known/acme-challenge/`, for a running web server. Files are
/// world-readable, written atomically and removed by cleanup(); folders that it creates stay. Not for wildcards. Files
/// are written and removed with call(). The first present() removes what a killed program left half-written in the
/// folder (remove_unfinished_files()). Thread-safe. Must outlive the calls that use it.
///
/// present() fails with io_failed if the root is not a folder or cannot be written.
class WebrootSolver final : public ChallengeSolver {
 public:
  explicit WebrootSolver(std::filesystem::path root);

  std::string_view type() const noexcept override { return "http-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  std::filesystem::path folder_;
  const std::shared_ptr<std::once_flag> swept_;
};

}  // namespace culmen
