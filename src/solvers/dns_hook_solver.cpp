#include <functional>
#include <mutex>
#include <utility>

#include "culmen/dns_solver.hpp"
#include "culmen/error.hpp"

namespace culmen {

/// Shared with the calls, which may outlive the solver.
struct DnsHookSolver::Hook {
  explicit Hook(DnsHook hook) : program(std::move(hook)) {}
  const DnsHook program;
  std::mutex one_at_a_time;  // hooks that edit a zone file are not made to run side by side
};

DnsHookSolver::DnsHookSolver(std::string program, DnsHookOptions options)
    : hook_(std::make_shared<Hook>(DnsHook(std::move(program), options.time_limit, options.cancel))),
      options_(std::move(options)) {
  if (options_.type != "dns-01" && options_.type != "dns-account-01") {
    throw Error(Errc::invalid_argument, "setting up a DNS hook",
                "\"" + printable(options_.type, 60) + "\" is not one of its challenge types: dns-01, dns-account-01");
  }
}

bool DnsHookSolver::can_solve(const Identifier& identifier, bool) const {
  return identifier.type == "dns" && !identifier.value.ends_with(".onion");
}

Flow<Result<void>> DnsHookSolver::present(ChallengeContext context) { return run("present", std::move(context)); }

Flow<Result<void>> DnsHookSolver::ready(std::vector<ChallengeContext>) {
  if (options_.settle <= std::chrono::seconds(0)) co_return Result<void>();
  Result<void> waited = co_await wait(options_.settle);
  co_return waited;
}

Flow<Result<void>> DnsHookSolver::cleanup(ChallengeContext context) { return run("cleanup", std::move(context)); }

Flow<Result<void>> DnsHookSolver::run(std::string action, ChallengeContext context) {
  std::function<Result<void>()> bound = [hook = hook_, action, context]() -> Result<void> {
    const std::lock_guard lock(hook->one_at_a_time);
    hook->program.run(action, context, dns_record(context));
    return {};
  };
  Result<void> done = co_await call(std::move(bound));
  co_return done;
}

}  // namespace culmen
