// Solvers for http-01 (RFC 8555 §8.3): a responder of its own, or files under a web server's root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "culmen/solver.hpp"

namespace culmen {

namespace listen {
class HttpResponder;
}

/// Answers http-01 from a small HTTP server of its own. Knows only the tokens presented to it; everything else is 404.
/// present() and cleanup() may be called from any thread.
class Http01Solver final : public ChallengeSolver {
 public:
  /// Does not bind yet. Port 0: any free one, see port(). `address` empty: all addresses, IPv6 and IPv4.
  explicit Http01Solver(std::uint16_t port = 80, std::string address = {});
  /// Stops.
  ~Http01Solver() override;

  /// Binds, and serves on the executor of the awaiting coroutine until stop(). Throws Error (io_failed): the port is in
  /// use or not permitted, with what to do about it.
  boost::asio::awaitable<void> start();
  /// Binds, and serves on a thread of its own until stop(): for blocking programs. Throws as start().
  void start_thread();
  /// The port bound; 0 before start.
  std::uint16_t port() const noexcept;
  /// Stops serving and lets go of the port. May be called at any time, and twice.
  void stop() noexcept;

  boost::asio::awaitable<void> present(std::string token, std::string key_authorization);
  boost::asio::awaitable<void> cleanup(std::string token);
  /// The same at once, without a coroutine. Throws Error (invalid_argument) when `token` is not a token.
  void add(std::string_view token, std::string_view key_authorization);
  void remove(std::string_view token);

  std::string_view type() const noexcept override { return "http-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  std::uint16_t wanted_port_;
  std::string address_;
  std::shared_ptr<listen::HttpResponder> responder_;
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
