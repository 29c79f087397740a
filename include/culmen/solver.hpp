// The solver interface, and solvers made from functions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/authorization.hpp"
#include "culmen/flow.hpp"

namespace culmen {

/// The challenge to solve. A plain value.
struct ChallengeContext {
  ChallengeContext() = default;
  Identifier identifier;  ///< Without "*."; see `wildcard`.
  bool wildcard = false;
  std::string type;               ///< Such as "http-01".
  std::string token;              ///< Empty if the challenge has none.
  std::string key_authorization;  ///< Empty if there is no token.
  Challenge challenge;            ///< As received from the server.
  std::string account_url;
};

/// Presents the response to a challenge, and removes it afterwards.
///
/// All challenges of an issuance are presented before the first is triggered. cleanup() runs once for every present()
/// that was started, whether the issuance succeeds, fails or is cancelled. Several challenges are presented
/// concurrently: both must be able to run at the same time for different tokens.
///
/// Threads: all functions run where the client runs its flows: on the calling thread of a blocking call, on the Asio
/// client's strand, or inside the functions of a PollDriver. They must not block; use call() for work that does. A
/// solver shared by several clients or threads must be thread-safe. It must outlive the calls that use it.
///
/// Failures are returned. What a function throws has the same effect: an Error as it is, any other exception as
/// solver_failed. A failure of cleanup() does not fail an issuance.
class ChallengeSolver {
 public:
  virtual ~ChallengeSolver() = default;

  /// The challenge type it solves, such as "http-01".
  virtual std::string_view type() const noexcept = 0;
  /// Whether it can solve the challenge for that identifier; if not, the next solver is tried. By default true.
  virtual bool can_solve(const Identifier& identifier, bool wildcard) const;

  virtual Flow<Result<void>> present(ChallengeContext context) = 0;
  /// Called once an issuance, after all of its challenges for this solver were presented and before the first is
  /// triggered: wait here until the answers can be seen (DNS propagation). The default returns at once.
  virtual Flow<Result<void>> ready(std::vector<ChallengeContext> contexts);
  virtual Flow<Result<void>> cleanup(ChallengeContext context) = 0;

  /// The JSON to post to the challenge URL once it is presented; `{}` for most types.
  virtual Result<std::string> response(const ChallengeContext& context) const;
};

/// A solver made from two functions, which may block and throw; an empty function does nothing. The blocking client
/// calls them on the calling thread, the Asio client and PollDriver on a thread of theirs: one at a time for each
/// solver.
std::unique_ptr<ChallengeSolver> make_solver(std::string type, std::function<void(const ChallengeContext&)> present,
                                             std::function<void(const ChallengeContext&)> cleanup);

}  // namespace culmen
