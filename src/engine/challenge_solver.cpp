#include "culmen/solver.hpp"

namespace culmen {

bool ChallengeSolver::can_solve(const Identifier&, bool) const { return true; }

Flow<Result<void>> ChallengeSolver::ready(std::vector<ChallengeContext>) { co_return Result<void>(); }

Result<std::string> ChallengeSolver::response(const ChallengeContext&) const { return std::string("{}"); }

}  // namespace culmen
