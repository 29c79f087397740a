// What proves control of an identifier: the interface, and solvers made from functions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "culmen/authorization.hpp"
#include "culmen/flow.hpp"

namespace culmen {

/// The challenge at hand.
struct ChallengeContext {
  ChallengeContext() = default;
  Identifier identifier;  ///< What is to be proven; without "*.".
  bool wildcard = false;
  std::string type;               ///< As "http-01".
  std::string token;              ///< Empty when the challenge has none.
  std::string key_authorization;  ///< Empty when there is no token.
  Challenge challenge;            ///< As the server sent it.
  std::string account_url;
};

/// Presents what a challenge asks for, and takes it away again.
///
/// present() runs before the challenge is triggered; cleanup() runs once for every present() that was begun, whether it
/// or what followed succeeded, failed or was cancelled. Several challenges are presented side by side, so both must be
/// safe to run at the same time for different tokens. The solver must outlive the calls that use it.
class ChallengeSolver {
 public:
  virtual ~ChallengeSolver() = default;

  /// The challenge type it solves, as "http-01".
  virtual std::string_view type() const noexcept = 0;
  /// Whether it can solve for that identifier; what it refuses goes to the next solver, if there is one.
  virtual bool can_solve(const Identifier& identifier, bool wildcard) const;

  virtual Flow<Result<void>> present(ChallengeContext context) = 0;
  virtual Flow<Result<void>> cleanup(ChallengeContext context) = 0;

  /// The JSON to post to the challenge URL once it is presented; `{}` for most types.
  virtual Result<std::string> response(const ChallengeContext& context) const;
};

/// A solver from two plain functions, which may block and throw. The driver decides where they run: an Asio driver
/// calls them on a thread of its own.
std::unique_ptr<ChallengeSolver> make_solver(std::string type, std::function<void(const ChallengeContext&)> present,
                                             std::function<void(const ChallengeContext&)> cleanup);

}  // namespace culmen
