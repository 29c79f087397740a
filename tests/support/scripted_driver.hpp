// Drives a flow against a FakeCa, with a clock of its own, and with faults at any of its asks.
#pragma once

#include <cctype>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "culmen/driver.hpp"
#include "support/fake_ca.hpp"

namespace culmen::test {

enum class Fault {
  none,
  lost_before,   // the request never arrives; a call fails without being made
  lost_after,    // the request arrives, its answer does not; a call is made and fails
  garbage,       // the answer is 200 with HTML; for other asks: as lost_before
  server_error,  // the answer is 500
  cancelled,     // the caller cancels while the ask is out
  throws,        // a function that is called throws; for other asks: as lost_before
};

class ScriptedDriver {
 public:
  explicit ScriptedDriver(FakeCa& ca_) : ca(ca_) {}

  FakeCa& ca;
  std::map<std::size_t, Fault> faults;  // by index of the ask
  std::size_t asks = 0;                 // how many there were
  std::vector<std::string> script;      // "POST /order", "wait", "call", "store": what was asked, without numbers
  Instant time{std::chrono::system_clock::time_point(std::chrono::seconds(1'790'000'000)), {}};
  std::chrono::microseconds waited{0};
  std::size_t widest = 0;        // most asks out at the same time
  std::size_t may_use_http = 0;  // requests that a redirect or a strange URL could lead to http
  std::function<std::optional<HttpResponse>(const HttpRequest&)> instead;  // answers in place of the CA

  template <class T>
  Result<T> drive(Flow<Result<T>> flow) {
    Execution<Result<T>> execution(std::move(flow), [this] { return time; });
    run(execution);
    return execution.result();
  }

 private:
  /// Nothing that was handed out is under way: the asks wait in a list for their turn.
  class Out final : public AskPerformer {
   public:
    bool withdraw(Ask& ask) noexcept override {
      std::erase(asks, &ask);
      return true;
    }
    void abandon(Ask& ask) noexcept override { std::erase(asks, &ask); }
    std::deque<Ask*> asks;
  };

  void run(ExecutionBase& execution) {
    Out performer;
    std::deque<Ask*>& out = performer.asks;
    execution.set_performer(&performer);
    for (;;) {
      while (Ask* ask = execution.next()) out.push_back(ask);
      widest = std::max(widest, out.size());
      if (out.empty()) break;
      Ask* ask = out.front();
      out.pop_front();
      const auto found = faults.find(asks);
      const Fault now = found == faults.end() ? Fault::none : found->second;
      ++asks;
      script.push_back(description(*ask));
      if (now == Fault::cancelled) {
        out.push_front(ask);
        execution.cancel();
        continue;
      }
      answer(execution, *ask, now);
    }
    execution.set_performer(nullptr);
  }

  static std::string description(const Ask& ask) {
    switch (ask.kind()) {
      case Ask::Kind::send: {
        const HttpRequest& request = static_cast<const SendAsk&>(ask).request;
        static const char* const methods[] = {"GET", "HEAD", "POST"};
        std::string path = request.url.substr(std::string("https://ca.test").size());
        while (!path.empty() && (std::isdigit(static_cast<unsigned char>(path.back())) != 0 || path.back() == '/'))
          path.pop_back();
        return std::string(methods[static_cast<int>(request.method)]) + " " + path;
      }
      case Ask::Kind::wait: return "wait";
      case Ask::Kind::call:
        return static_cast<const CallAsk&>(ask).purpose == CallAsk::Purpose::storing ? "store" : "call";
      case Ask::Kind::await: return "await";
      case Ask::Kind::exchange: return "exchange";
      case Ask::Kind::signal: break;  // never handed out
    }
    return "unknown";
  }

  static Error lost(const char* what) { return Error(Errc::connection_failed, what, "scripted"); }

  void answer(ExecutionBase& execution, Ask& ask, Fault now) {
    switch (ask.kind()) {
      case Ask::Kind::send: {
        auto& send = static_cast<SendAsk&>(ask);
        if (!send.request.require_https) ++may_use_http;
        execution.answer(send, exchange(send.request, now));
        break;
      }
      case Ask::Kind::wait: {
        auto& wait = static_cast<WaitAsk&>(ask);
        time.wall += std::chrono::duration_cast<std::chrono::system_clock::duration>(wait.duration);
        time.steady += wait.duration;
        waited += std::chrono::duration_cast<std::chrono::milliseconds>(wait.duration);
        execution.answer(wait, now == Fault::none ? Result<void>() : Result<void>(lost("waiting")));
        break;
      }
      case Ask::Kind::call: {
        auto& call = static_cast<CallAsk&>(ask);
        if (now == Fault::throws) call.function = []() -> Result<void> { throw std::runtime_error("scripted"); };
        const bool called = now == Fault::none || now == Fault::lost_after || now == Fault::throws;
        Result<void> outcome = called ? call_function(call) : Result<void>();
        if (now != Fault::none && now != Fault::throws) outcome = Error(Errc::io_failed, "calling", "scripted");
        execution.answer(call, std::move(outcome));
        break;
      }
      case Ask::Kind::await: {
        auto& await = static_cast<AwaitAsk&>(ask);
        std::optional<Result<void>> outcome;
        await.start([&outcome](Result<void> done) { outcome.emplace(std::move(done)); });
        execution.answer(await, outcome.value_or(Result<void>(lost("awaiting"))));
        break;
      }
      case Ask::Kind::exchange: execution.answer(static_cast<ExchangeAsk&>(ask), lost("exchanging")); break;
      case Ask::Kind::signal: break;
    }
  }

  Result<HttpResponse> exchange(const HttpRequest& request, Fault now) {
    time.wall += std::chrono::milliseconds(2);
    time.steady += std::chrono::milliseconds(2);
    if (now == Fault::lost_before || now == Fault::throws) return lost("connecting");
    if (std::optional<HttpResponse> other = instead ? instead(request) : std::nullopt) return std::move(*other);
    HttpResponse response = ca.handle(request);
    if (now == Fault::lost_after) return lost("reading the answer");
    if (now == Fault::garbage || now == Fault::server_error) {
      response.status = now == Fault::garbage ? 200 : 500;
      response.headers.clear();
      response.body = "<html>Bad gateway</html>";
    }
    return response;
  }
};

}  // namespace culmen::test
