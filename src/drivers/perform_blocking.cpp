// Performs single asks on the calling thread, for drivers that do not know their kind.
#include <utility>

#include "culmen/driver.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"

namespace culmen {

namespace {

Flow<Result<HttpResponse>> send_again(HttpRequest request) {
  Result<HttpResponse> response = co_await send(std::move(request));
  co_return response;
}
Flow<Result<void>> wait_again(std::chrono::microseconds duration) {
  Result<void> waited = co_await wait(duration);
  co_return waited;
}
Flow<Result<void>> await_again(std::function<void(AwaitAsk::Done)> start) {
  Result<void> reported = co_await await_done(std::move(start));
  co_return reported;
}
Flow<Result<Bytes>> exchange_again(ExchangeRequest request) {
  Result<Bytes> answer = co_await exchange_message(std::move(request));
  co_return answer;
}

/// Runs the flow on a driver of its own.
template <class T>
Result<T> run_alone(Flow<Result<T>> flow) {
  return guarded_call(
      [&flow] {
        drivers::BlockingDriver driver(TransportOptions{}, nullptr);
        Execution<Result<T>> execution(std::move(flow), &drivers::instant_now);
        driver.drive(execution);
        return execution.result();
      },
      "");
}

}  // namespace

void perform_blocking(ExecutionBase& execution, Ask& ask) {
  switch (ask.kind()) {
    case Ask::Kind::send: {
      auto& send = static_cast<SendAsk&>(ask);
      execution.answer(send, run_alone(send_again(std::move(send.request))));
      break;
    }
    case Ask::Kind::wait: {
      auto& wait = static_cast<WaitAsk&>(ask);
      execution.answer(wait, run_alone(wait_again(wait.duration)));
      break;
    }
    case Ask::Kind::call: {
      auto& call = static_cast<CallAsk&>(ask);
      execution.answer(call, call_function(call));
      break;
    }
    case Ask::Kind::await: {
      auto& await = static_cast<AwaitAsk&>(ask);
      execution.answer(await, run_alone(await_again(std::move(await.start))));
      break;
    }
    case Ask::Kind::exchange: {
      auto& exchange = static_cast<ExchangeAsk&>(ask);
      execution.answer(exchange, run_alone(exchange_again(std::move(exchange.request))));
      break;
    }
    case Ask::Kind::signal: break;  // never handed out
  }
}

}  // namespace culmen
