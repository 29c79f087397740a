#include "culmen/http01_solver.hpp"

#include "base/name.hpp"
#include "solvers/challenge_server.hpp"
#include "solvers/http01_answers.hpp"

namespace culmen {

// The constructor is defined with the server, in src/listen; the awaitable functions in src/faces.

Http01Solver::~Http01Solver() { stop(); }

void Http01Solver::start_thread() { server_->start_thread(wanted_port_, address_); }
std::uint16_t Http01Solver::port() const noexcept { return server_->port(); }
void Http01Solver::stop() noexcept { server_->stop(); }

void Http01Solver::add(std::string_view token, std::string_view key_authorization) {
  if (!base::is_token(token)) {
    throw Error(Errc::invalid_argument, "presenting http-01",
                "\"" + printable(token) + "\" is not a token: those are made of A-Z a-z 0-9 - _");
  }
  answers_->add(token, key_authorization);
}

void Http01Solver::remove(std::string_view token) { answers_->remove(token); }

bool Http01Solver::can_solve(const Identifier&, bool wildcard) const {
  return !wildcard;  // no CA takes http-01 for a wildcard: a file at one name proves nothing about the others
}

Flow<Result<void>> Http01Solver::present(ChallengeContext context) {
  if (port() == 0) {
    co_return Error(Errc::solver_failed, "presenting http-01",
                    "the solver does not listen: call start() or start_thread() first");
  }
  co_return result_of([&] { add(context.token, context.key_authorization); });
}

Flow<Result<void>> Http01Solver::cleanup(ChallengeContext context) {
  remove(context.token);
  co_return Result<void>();
}

}  // namespace culmen
