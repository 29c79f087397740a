#include "culmen/solver.hpp"

#include <memory>
#include <mutex>
#include <utility>

namespace culmen {

namespace {
class FunctionSolver final : public ChallengeSolver {
 public:
  using Function = std::function<void(const ChallengeContext&)>;

  FunctionSolver(std::string type, Function present, Function cleanup)
      : type_(std::move(type)), functions_(std::make_shared<Functions>(std::move(present), std::move(cleanup))) {}

  std::string_view type() const noexcept override { return type_; }

  bool can_solve(const Identifier& identifier, bool wildcard) const override {
    const bool needs_a_host = type_ == "http-01" || type_ == "tls-alpn-01";
    if (wildcard && needs_a_host) return false;      // RFC 8555 §8.3, RFC 8737 §3
    return identifier.type != "ip" || needs_a_host;  // RFC 8738 §7
  }

  Flow<Result<void>> present(ChallengeContext context) override {
    return run(functions_, &Functions::present, std::move(context));
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override {
    return run(functions_, &Functions::cleanup, std::move(context));
  }

 private:
  /// Shared with the calls, which may outlive the solver.
  struct Functions {
    Functions(Function present_, Function cleanup_) : present(std::move(present_)), cleanup(std::move(cleanup_)) {}
    const Function present, cleanup;
    std::mutex one_at_a_time;
  };

  static Flow<Result<void>> run(std::shared_ptr<Functions> functions, const Function Functions::*which,
                                ChallengeContext context) {
    if (!((*functions).*which)) co_return Result<void>();
    std::function<Result<void>()> bound = [functions, which, context = std::move(context)]() -> Result<void> {
      const std::lock_guard lock(functions->one_at_a_time);
      ((*functions).*which)(context);
      return {};
    };
    co_return co_await call(std::move(bound));
  }

  std::string type_;
  std::shared_ptr<Functions> functions_;
};
}  // namespace

std::unique_ptr<ChallengeSolver> make_solver(std::string type, std::function<void(const ChallengeContext&)> present,
                                             std::function<void(const ChallengeContext&)> cleanup) {
  return std::make_unique<FunctionSolver>(std::move(type), std::move(present), std::move(cleanup));
}

}  // namespace culmen
