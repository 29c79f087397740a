#include "culmen/solver.hpp"

#include <utility>

namespace culmen {

namespace {
class FunctionSolver final : public ChallengeSolver {
 public:
  using Function = std::function<void(const ChallengeContext&)>;

  FunctionSolver(std::string type, Function present, Function cleanup)
      : type_(std::move(type)),
        present_(std::make_shared<const Function>(std::move(present))),
        cleanup_(std::make_shared<const Function>(std::move(cleanup))) {}

  std::string_view type() const noexcept override { return type_; }

  bool can_solve(const Identifier& identifier, bool wildcard) const override {
    const bool needs_a_host = type_ == "http-01" || type_ == "tls-alpn-01";
    if (wildcard && needs_a_host) return false;      // RFC 8555 §8.3, RFC 8737 §3
    return identifier.type != "ip" || needs_a_host;  // RFC 8738 §7
  }

  Flow<Result<void>> present(ChallengeContext context) override { return run(present_, std::move(context)); }
  Flow<Result<void>> cleanup(ChallengeContext context) override { return run(cleanup_, std::move(context)); }

 private:
  static Flow<Result<void>> run(std::shared_ptr<const Function> function, ChallengeContext context) {
    if (!*function) co_return Result<void>();
    std::function<Result<void>()> bound = [function, context = std::move(context)]() -> Result<void> {
      (*function)(context);
      return {};
    };
    co_return co_await call(std::move(bound));
  }

  std::string type_;
  std::shared_ptr<const Function> present_, cleanup_;  // a call may outlive the solver
};
}  // namespace

std::unique_ptr<ChallengeSolver> make_solver(std::string type, std::function<void(const ChallengeContext&)> present,
                                             std::function<void(const ChallengeContext&)> cleanup) {
  return std::make_unique<FunctionSolver>(std::move(type), std::move(present), std::move(cleanup));
}

}  // namespace culmen
