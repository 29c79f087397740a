#include <functional>
#include <utility>

#include "culmen/dns_solver.hpp"
#include "culmen/error.hpp"

namespace culmen {

DnsHookSolver::DnsHookSolver(std::string program, DnsHookOptions options)
    : hook_(std::move(program), options.time_limit), options_(std::move(options)) {
  if (options_.type != "dns-01" && options_.type != "dns-account-01") {
    throw Error(Errc::invalid_argument, "setting up a DNS hook",
                "\"" + printable(options_.type, 60) + "\" is not one of its challenge types: dns-01, dns-account-01");
  }
}

bool DnsHookSolver::can_solve(const Identifier& identifier, bool) const {
  return identifier.type == "dns" && !identifier.value.ends_with(".onion");
}

Flow<Result<void>> DnsHookSolver::present(ChallengeContext context) {
  Result<void> done = co_await run("present", std::move(context));
  if (!done) co_return done;
  if (options_.settle > std::chrono::seconds(0)) done = co_await wait(options_.settle);
  co_return done;
}

Flow<Result<void>> DnsHookSolver::cleanup(ChallengeContext context) {
  co_return co_await run("cleanup", std::move(context));
}

Flow<Result<void>> DnsHookSolver::run(std::string action, ChallengeContext context) {
  std::function<Result<void>()> bound = [this, &action, &context]() -> Result<void> {
    // Hooks that edit a zone file are not made to run side by side.
    const std::lock_guard lock(one_at_a_time_);
    hook_.run(action, context, dns_record(context));
    return {};
  };
  Result<void> done = co_await call(std::move(bound));
  co_return done;
}

}  // namespace culmen
