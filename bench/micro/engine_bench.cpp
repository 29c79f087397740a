// One whole issue() against answers that lie ready: no network, no waiting. What is left is the engine and its
// signatures; bench/micro.py takes the signatures off.
#include <benchmark/benchmark.h>

#include <chrono>
#include <deque>
#include <stdexcept>
#include <utility>

#include "culmen/driver.hpp"
#include "culmen/engine.hpp"
#include "prepared_ca.hpp"

namespace culmen::bench {

namespace {

class NothingToPresent final : public ChallengeSolver {
 public:
  std::string_view type() const noexcept override { return "http-01"; }
  Flow<Result<void>> present(ChallengeContext) override { co_return Result<void>(); }
  Flow<Result<void>> cleanup(ChallengeContext) override { co_return Result<void>(); }
};

/// Answers every ask at once: sends from the prepared answers, waits without waiting.
class PreparedDriver {
 public:
  explicit PreparedDriver(const PreparedCa& ca) : ca_(ca) {}
  std::int64_t requests = 0;

  template <class T>
  T drive(Flow<Result<T>> flow) {
    Execution<Result<T>> execution(
        std::move(flow), [] { return Instant(std::chrono::system_clock::now(), std::chrono::steady_clock::now()); });
    std::deque<Ask*> out;
    for (;;) {
      while (Ask* ask = execution.next()) out.push_back(ask);
      if (out.empty()) break;
      answer(execution, *out.front());
      out.pop_front();
    }
    return execution.result().value();
  }

 private:
  void answer(ExecutionBase& execution, Ask& ask) {
    switch (ask.kind()) {
      case Ask::Kind::send: {
        auto& send = static_cast<SendAsk&>(ask);
        ++requests;
        return execution.answer(send, ca_.answer(send.request.url));
      }
      case Ask::Kind::wait: return execution.answer(static_cast<WaitAsk&>(ask), Result<void>());
      case Ask::Kind::call: {
        auto& call = static_cast<CallAsk&>(ask);
        return execution.answer(call, call_function(call));
      }
      case Ask::Kind::await:
      case Ask::Kind::exchange:
      case Ask::Kind::signal: throw std::logic_error("nothing here asks for that");
    }
  }

  const PreparedCa& ca_;
};

/// The account exists, the key is at hand, the first nonce is there: each iteration is one certificate.
void issue(benchmark::State& state) {
  const PreparedCa ca(static_cast<std::size_t>(state.range(0)));
  PreparedDriver driver(ca);
  const engine::Session session = driver.drive(engine::connect(ca.directory_url));
  const Account account(ca.account_url, AccountKey::generate("ec:P-256"));
  IssueRequest request(ca.names);
  request.key = ca.certificate_key;
  NothingToPresent solver;
  const std::vector<ChallengeSolver*> solvers(1, &solver);
  static_cast<void>(driver.drive(engine::issue(session, account, request, solvers)));
  driver.requests = 0;
  for (auto _ : state) benchmark::DoNotOptimize(driver.drive(engine::issue(session, account, request, solvers)));
  state.counters["requests"] =
      benchmark::Counter(static_cast<double>(driver.requests), benchmark::Counter::kAvgIterations);
}
BENCHMARK(issue)->Name("issue")->Arg(1)->Arg(100);

}  // namespace
}  // namespace culmen::bench
