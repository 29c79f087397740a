// first_of, with_deadline, Nursery and Event.
#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "culmen/driver.hpp"
#include "culmen/event.hpp"
#include "culmen/nursery.hpp"

using namespace culmen;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// Answers waits in the order of their ends, on a clock of its own; awaits when they report.
class GroupDriver final : public AskPerformer {
 public:
  template <class T>
  T run(Flow<T> flow) {
    Execution<T> execution(std::move(flow), [this] { return Instant({}, time); });
    execution.set_performer(this);
    while (!execution.done()) {
      while (Ask* ask = execution.next()) begin(*ask);
      if (execution.done()) break;
      if (cancel_at && *cancel_at <= time) {
        cancel_at.reset();
        execution.cancel();
        continue;
      }
      if (deliver(execution)) continue;
      REQUIRE_FALSE(waits_.empty());
      const auto [due, ask] = waits_.front();
      if (cancel_at && *cancel_at < due) {
        time = *cancel_at;
        continue;
      }
      waits_.pop_front();
      time = due;
      execution.answer(*ask, Result<void>());
    }
    execution.set_performer(nullptr);
    return execution.result();
  }

  bool withdraw(Ask& ask) noexcept override {
    abandon(ask);
    ++withdrawn;
    return true;
  }
  void abandon(Ask& ask) noexcept override {
    std::erase_if(waits_, [&ask](const auto& entry) { return entry.second == &ask; });
    awaits_.erase(&ask);
  }

  std::chrono::steady_clock::time_point time;
  std::optional<std::chrono::steady_clock::time_point> cancel_at;
  int withdrawn = 0;

 private:
  using Report = std::shared_ptr<std::optional<Result<void>>>;

  void begin(Ask& ask) {
    if (ask.kind() == Ask::Kind::wait) {
      auto& wait_ask = static_cast<WaitAsk&>(ask);
      const auto due = time + wait_ask.duration;
      auto place = waits_.begin();
      while (place != waits_.end() && place->first <= due) ++place;
      waits_.emplace(place, due, &wait_ask);
      return;
    }
    REQUIRE(ask.kind() == Ask::Kind::await);
    auto& await_ask = static_cast<AwaitAsk&>(ask);
    auto report = std::make_shared<std::optional<Result<void>>>();
    awaits_[&ask] = {&await_ask, report};
    await_ask.start([report](Result<void> result) { report->emplace(std::move(result)); });
  }
  bool deliver(ExecutionBase& execution) {
    for (auto& [address, entry] : awaits_) {
      if (!*entry.second) continue;
      AwaitAsk& ask = *entry.first;
      const Report report = entry.second;
      awaits_.erase(address);
      execution.answer(ask, **report);
      return true;
    }
    return false;
  }

  std::deque<std::pair<std::chrono::steady_clock::time_point, WaitAsk*>> waits_;
  std::map<const Ask*, std::pair<AwaitAsk*, Report>> awaits_;
};

Flow<Result<void>> waits_for(seconds duration) {
  Result<void> waited = co_await wait(duration);
  co_return waited;
}

Flow<Result<void>> fails_after(seconds duration) {
  Result<void> waited = co_await wait(duration);
  if (!waited) co_return waited;
  co_return Error(Errc::timeout, "after " + std::to_string(duration.count()));
}

Flow<Result<void>> throws_after(seconds duration) {
  Result<void> waited = co_await wait(duration);
  if (waited) throw std::runtime_error("thrown");
  co_return waited;
}

Flow<Result<void>> cleans_up(seconds work, seconds clean, bool* cleaned) {
  Result<void> worked = co_await wait(work);
  Flow<Result<void>> cleaning = waits_for(clean);
  Result<void> done = co_await shielded(std::move(cleaning));
  *cleaned = done.has_value();
  co_return worked;
}

template <class... F>
std::vector<Flow<Result<void>>> flows(F... flow) {
  std::vector<Flow<Result<void>>> list;
  (list.push_back(std::move(flow)), ...);
  return list;
}

}  // namespace

TEST_CASE("first_of: the first one's result comes back, the others are cancelled and waited for") {
  struct Body {
    static Flow<First<Result<void>>> run(bool* cleaned) {
      auto parts = flows(cleans_up(seconds(50), seconds(3), cleaned), fails_after(seconds(2)), waits_for(seconds(9)));
      First<Result<void>> first = co_await first_of(std::move(parts));
      co_return first;
    }
  };
  GroupDriver driver;
  bool cleaned = false;
  const First<Result<void>> first = driver.run(Body::run(&cleaned));
  CHECK(first.index == 1);
  CHECK(first.result.error().code() == Errc::timeout);
  CHECK(cleaned);
  CHECK(driver.withdrawn == 2);
  CHECK(driver.time.time_since_epoch() == seconds(5));  // two, and three of clean-up
}

TEST_CASE(
    "with_deadline and Nursery::cancel work under a shield, and the shield still holds off the outer cancellation") {
  struct Body {
    static Flow<Result<void>> with_limit() {
      Result<void> ended = co_await with_deadline(waits_for(seconds(50)), seconds(3), "cleaning up");
      co_return ended;
    }
    static Flow<Result<void>> with_children() {
      Nursery nursery = co_await open_nursery();
      const Nursery::Id endless = nursery.spawn(waits_for(seconds(50)));
      nursery.spawn(waits_for(seconds(4)));
      Result<void> waited = co_await wait(seconds(3));
      if (!waited) co_return waited;
      nursery.cancel(endless);
      Result<void> joined = co_await nursery.join();
      co_return joined;
    }
    static Flow<Result<void>> shield(Flow<Result<void>> flow) {
      Result<void> ended = co_await shielded(std::move(flow));
      co_return ended;
    }
  };
  for (const bool is_cancelled : {false, true}) {
    GroupDriver driver;
    if (is_cancelled) driver.cancel_at = std::chrono::steady_clock::time_point(seconds(1));
    CHECK(driver.run(Body::shield(Body::with_limit())).error().code() == Errc::deadline);
    CHECK(driver.time.time_since_epoch() == seconds(3));
  }
  for (const bool is_cancelled : {false, true}) {
    GroupDriver driver;
    if (is_cancelled) driver.cancel_at = std::chrono::steady_clock::time_point(seconds(1));
    CHECK(driver.run(Body::shield(Body::with_children())).error().code() == Errc::cancelled);  // the endless child's
    CHECK(driver.time.time_since_epoch() == seconds(4));
  }
}

TEST_CASE("with_deadline: any number of them, one after another, each ends as the first") {
  struct Body {
    static Flow<Result<int>> run() {
      int late = 0;
      for (int i = 0; i < 2500; ++i) {
        Result<void> ended = co_await with_deadline(waits_for(seconds(50)), seconds(1), "waiting");
        if (!ended && ended.error().code() == Errc::deadline) ++late;
      }
      co_return late;
    }
  };
  GroupDriver driver;
  CHECK(driver.run(Body::run()).value() == 2500);
}

TEST_CASE("first_of: an exception of the first one comes out once the others have ended") {
  struct Body {
    static Flow<Result<void>> run(bool* cleaned) {
      auto parts = flows(cleans_up(seconds(50), seconds(3), cleaned), throws_after(seconds(2)));
      First<Result<void>> first = co_await first_of(std::move(parts));
      co_return first.result;
    }
  };
  GroupDriver driver;
  bool cleaned = false;
  CHECK_THROWS_AS((void)driver.run(Body::run(&cleaned)), std::runtime_error);
  CHECK(cleaned);
}

TEST_CASE("with_deadline: in time, late, late but done all the same, thrown, and cancelled from outside") {
  GroupDriver driver;
  CHECK(driver.run(with_deadline(waits_for(seconds(4)), seconds(5), "waiting")).has_value());

  const Result<void> late = driver.run(with_deadline(waits_for(seconds(6)), milliseconds(1500), "waiting"));
  CHECK(late.error().code() == Errc::deadline);
  CHECK(std::string(late.error().what()).find("1500 ms") != std::string::npos);

  struct Body {
    static Flow<Result<void>> ignores() {
      (void)co_await wait(seconds(50));
      co_return Result<void>();
    }
  };
  CHECK(driver.run(with_deadline(Body::ignores(), seconds(5), "waiting")).has_value());
  CHECK(driver.run(with_deadline(fails_after(seconds(1)), seconds(5), "waiting")).error().code() == Errc::timeout);
  CHECK_THROWS_AS((void)driver.run(with_deadline(throws_after(seconds(1)), seconds(5), "waiting")), std::runtime_error);

  struct Endless {
    static Flow<Result<void>> asks() {
      for (;;) (void)co_await wait(seconds(1));
    }
  };
  CHECK(driver.run(with_deadline(Endless::asks(), seconds(5), "waiting")).error().code() == Errc::deadline);

  driver.cancel_at = driver.time + seconds(2);
  const Result<void> cancelled = driver.run(with_deadline(waits_for(seconds(4)), seconds(5), "waiting"));
  CHECK(cancelled.error().code() == Errc::cancelled);
}

TEST_CASE("nursery: children join a running group, end in their order, and one can be cancelled") {
  struct Body {
    static Flow<Result<void>> run(std::vector<std::string>* log) {
      Nursery nursery = co_await open_nursery();
      const Nursery::Id slow = nursery.spawn(waits_for(seconds(100)));
      const Nursery::Id quick = nursery.spawn(fails_after(seconds(2)));
      const Nursery::Id throwing = nursery.spawn(throws_after(seconds(3)));
      Nursery::Id later = 0;
      for (;;) {
        Result<std::optional<Nursery::Ended>> next = co_await nursery.next();
        if (!next) co_return next.error();
        if (!*next) break;
        const Nursery::Ended& ended = **next;
        const char* const name = ended.id == slow       ? "slow"
                                 : ended.id == quick    ? "quick"
                                 : ended.id == throwing ? "throwing"
                                 : ended.id == later    ? "later"
                                                        : "?";
        log->push_back(std::string(name) +
                       (ended.result ? " ok" : " " + std::string(to_string(ended.result.error().code()))));
        if (ended.id == quick) later = nursery.spawn(waits_for(seconds(5)));
        if (ended.id == later) nursery.cancel(slow);
      }
      CHECK(nursery.size() == 0);
      co_return Result<void>();
    }
  };
  GroupDriver driver;
  std::vector<std::string> log;
  CHECK(driver.run(Body::run(&log)).has_value());
  CHECK(log == std::vector<std::string>{"quick timeout", "throwing solver_failed", "later ok", "slow cancelled"});
  CHECK(driver.time.time_since_epoch() == seconds(7));
}

TEST_CASE("nursery: cancelling its flow cancels the children, and join() waits for their clean-up") {
  struct Body {
    static Flow<Result<void>> run(std::vector<char>* cleaned) {
      static bool flags[3];
      Nursery nursery = co_await open_nursery();
      for (bool& flag : flags) {
        flag = false;
        nursery.spawn(cleans_up(seconds(50), seconds(3), &flag));
      }
      Result<void> joined = co_await nursery.join();
      for (const bool flag : flags) cleaned->push_back(flag ? 'y' : 'n');
      co_return joined;
    }
  };
  GroupDriver driver;
  driver.cancel_at = driver.time + seconds(2);
  std::vector<char> cleaned;
  CHECK(driver.run(Body::run(&cleaned)).error().code() == Errc::cancelled);
  CHECK(cleaned == std::vector<char>{'y', 'y', 'y'});
  CHECK(driver.time.time_since_epoch() == seconds(5));
}

TEST_CASE("nursery: next() can be one of several things waited for") {
  struct Body {
    static Flow<Result<void>> next_ended(Nursery* nursery) {
      Result<std::optional<Nursery::Ended>> ended = co_await nursery->next();
      if (!ended) co_return ended.error();
      co_return Result<void>();
    }
    static Flow<Result<void>> run(std::vector<std::size_t>* order) {
      Nursery nursery = co_await open_nursery();
      nursery.spawn(waits_for(seconds(5)));
      for (int round = 0; round < 3; ++round) {
        auto parts = flows(next_ended(&nursery), waits_for(seconds(2)));
        First<Result<void>> first = co_await first_of(std::move(parts));
        order->push_back(first.index);
      }
      co_return co_await nursery.join();
    }
  };
  GroupDriver driver;
  std::vector<std::size_t> order;
  CHECK(driver.run(Body::run(&order)).has_value());
  CHECK(order == std::vector<std::size_t>{1, 1, 0});
}

TEST_CASE("event: set before, set while waiting, every waiting flow, and a wait that is cancelled") {
  struct Body {
    static Flow<Result<void>> sets_after(Event event, seconds delay) {
      Result<void> waited = co_await wait(delay);
      event.set();
      co_return waited;
    }
    static Flow<Result<void>> run(Event event) {
      event.set();
      Result<void> at_once = co_await event.wait();
      if (!at_once) co_return at_once;
      // Cancelled waits leave nothing behind that would swallow the event.
      for (int i = 0; i < 5; ++i) {
        Result<void> late = co_await with_deadline(event.wait(), seconds(1), "waiting for the event");
        if (late || late.error().code() != Errc::deadline) co_return Error(Errc::io_failed, "waiting", "not late");
      }
      auto parts = flows(event.wait(), event.wait(), sets_after(event, seconds(3)));
      std::vector<Result<void>> woken = co_await all(std::move(parts));
      for (const Result<void>& result : woken) {
        if (!result) co_return result;
      }
      event.set();
      Result<void> again = co_await event.wait();
      co_return again;
    }
  };
  GroupDriver driver;
  CHECK(driver.run(Body::run(Event())).has_value());
  CHECK(driver.time.time_since_epoch() == seconds(8));
}

TEST_CASE("Event: a set() whose waiter is cancelled before it wakes is the next one's") {
  for (const bool is_destroyed : {false, true}) {
    const Event event;
    const auto begin = [&event](std::optional<Execution<Result<void>>>& execution, bool* reported) {
      execution.emplace(event.wait(), [] { return Instant(); });
      auto* const ask = static_cast<AwaitAsk*>(execution->next());
      ask->start([reported](const Result<void>&) { *reported = true; });
    };
    GroupDriver performer;
    std::optional<Execution<Result<void>>> first;
    bool is_reported = false;
    begin(first, &is_reported);
    first->set_performer(&performer);
    event.set();
    CHECK(is_reported);  // to the driver; the flow does not know yet
    if (is_destroyed) {
      first.reset();
    } else {
      first->cancel();
      CHECK(first->next() == nullptr);
      CHECK(first->result().error().code() == Errc::cancelled);
    }
    std::optional<Execution<Result<void>>> second;
    std::optional<Execution<Result<void>>> third;
    bool second_woke = false;
    bool third_woke = false;
    begin(second, &second_woke);
    begin(third, &third_woke);
    CHECK(second_woke);
    CHECK_FALSE(third_woke);
  }
}
