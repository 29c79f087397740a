// When a certificate is due: tables over lifetimes, and properties over random facts.
#include "culmen/planner.hpp"

#include <limits>

#include <doctest/doctest.h>

#include "unit/manager/random_facts.hpp"

using namespace culmen;
using namespace culmen::planner;
using namespace std::chrono_literals;

namespace {

/// A window that the CA suggested at `answered`.
CertificateFacts& suggest(CertificateFacts& facts, Duration from, Duration to, Time answered, double random) {
  RenewalInfo info;
  info.window_start = issued + from;
  info.window_end = issued + to;
  info.retry_after = 6h;
  facts.renewal =
      updated_renewal_state(std::move(facts.renewal), info, answered, random, facts.not_after - facts.not_before);
  return facts;
}

Due due_at(const CertificateFacts& facts, Time now) { return due(facts, Policy(), now); }

/// Calls `check(dice, facts, policy, now)` with many facts. The seed of a failure is shown.
template <class Check>
void for_random_facts(Check check) {
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    const CertificateFacts facts = random_facts(dice);
    Policy policy;
    if (dice.one_in(10)) policy.spread = dice.fraction();
    const Duration around = std::max(lifetime(facts.not_before, facts.not_after), Duration(1h));
    check(dice, facts, policy, issued - 1h + dice.below(2 * std::min<Duration>(around, days(10'000))));
  }
}

bool same(const Due& a, const Due& b) {
  return a.renew_now == b.renew_now && a.at == b.at && a.next_check == b.next_check && a.emergency == b.emergency &&
         a.rule == b.rule && a.window_fault == b.window_fault;
}

}  // namespace

TEST_CASE("due: by lifetime, spread by the dice") {
  struct Row {
    Duration lifetime, latest, spread;
  };
  for (const Row& row : {Row{days(90), days(60), 108h}, Row{days(64), 64 * 16h, 64 * 72min},
                         Row{days(47), 47 * 16h, 47 * 72min}, Row{days(45), days(30), 54h}, Row{days(10), 160h, 12h},
                         Row{160h, 80h, 8h}, Row{24h, 12h, 72min}, Row{1h, 30min, 3min}, Row{60s, 30s, 3s}}) {
    CAPTURE(row.lifetime.count());
    CertificateFacts facts = living_for(row.lifetime);
    CHECK(due_at(facts, issued).at == issued + row.latest);
    for (const double dice : {0.0, 0.25, 0.5}) {
      facts.renewal.dice = dice;
      const Time at = issued + row.latest - Duration(static_cast<Duration::rep>(row.spread.count() * dice));
      CHECK(due_at(facts, issued).at == at);
      CHECK(due_at(facts, issued).rule == Rule::lifetime);
      CHECK_FALSE(due_at(facts, at - 1ns).renew_now);
      CHECK(due_at(facts, at).renew_now);
      CHECK(due_at(facts, issued + row.lifetime + days(5)).renew_now);
    }
    Policy policy;
    policy.spread = 0;
    CHECK(due(facts, policy, issued).at == issued + row.latest);
    // A new certificate is not due at once, whatever the policy.
    facts.renewal.dice = 1;
    policy.spread = 5;
    CHECK(due(facts, policy, issued).at == issued + row.latest - row.lifetime / 4);
    for (const double no_number : {std::numeric_limits<double>::quiet_NaN(), -1.0}) {
      facts.renewal.dice = no_number;
      CHECK(due_at(facts, issued).at == issued + row.latest);
    }
  }
}

TEST_CASE("due: with a fresh window at the moment chosen in it, sooner or later than by lifetime") {
  for (const Duration lifetime : {Duration(days(90)), Duration(days(64)), Duration(days(47)), Duration(days(45)),
                                  Duration(160h), Duration(24h), Duration(1h), Duration(60s)}) {
    CAPTURE(lifetime.count());
    CertificateFacts facts = living_for(lifetime);
    suggest(facts, lifetime / 5, lifetime / 5 * 2, issued, 0);
    CHECK(due_at(facts, issued).at == issued + lifetime / 5);
    CHECK(due_at(facts, issued).rule == Rule::window);
    CHECK_FALSE(due_at(facts, issued).emergency);

    suggest(facts, lifetime / 5 * 4, lifetime / 10 * 9, issued, 0);
    CHECK(due_at(facts, issued).at == issued + lifetime / 5 * 4);
    // Stale, and by lifetime again: what is due by then is due at that moment, and the decision before has said so.
    const Time stale = issued + 12h;
    CHECK(due_at(facts, stale).rule == Rule::lifetime);
    CHECK(due_at(facts, stale - 1ns).rule == Rule::window);
    if (lifetime > 24h) CHECK(due_at(facts, stale - 1s).next_check == stale);

    // A twentieth of the lifetime stays, whatever the CA suggests.
    suggest(facts, lifetime / 100 * 97, lifetime, issued, 0.5);
    CHECK(due_at(facts, issued).at == issued + lifetime - lifetime / 20);
    CHECK(due_at(facts, issued).window_fault == WindowFault::none);
  }
}

TEST_CASE("due: an answer is fresh for twice Retry-After, at least 12 h or a twentieth of the lifetime") {
  struct Row {
    Duration lifetime;
    std::optional<std::chrono::seconds> retry_after;
    Duration fresh;
  };
  for (const Row& row : {Row{days(90), 60s, 12h}, Row{days(90), 6h, 12h}, Row{days(90), 20h, 40h},
                         Row{days(90), days(9), 48h}, Row{days(90), std::nullopt, 12h}, Row{24h, 60s, 72min},
                         Row{1h, 60s, 3min}, Row{1h, 10min, 20min}, Row{60s, 1s, 6s}, Row{60s, std::nullopt, 6s}}) {
    CAPTURE(row.lifetime.count());
    CertificateFacts facts = living_for(row.lifetime);
    suggest(facts, row.lifetime / 10 * 7, row.lifetime / 10 * 8, issued, 0);
    facts.renewal.info->retry_after = row.retry_after;
    CHECK(due_at(facts, issued + row.fresh - 1ns).rule == Rule::window);
    CHECK(due_at(facts, issued + row.fresh).rule == Rule::lifetime);
  }
}

TEST_CASE("due: a moment kept from another window is moved into the present one") {
  CertificateFacts facts = living_for(days(90));
  suggest(facts, days(60), days(62), issued, 0.5);
  facts.renewal.chosen = issued + days(80);
  CHECK(due_at(facts, issued).at == issued + days(62));
  facts.renewal.chosen = Time::min();
  CHECK(due_at(facts, issued).at == issued + days(60));
  facts.renewal.chosen.reset();
  CHECK(due_at(facts, issued).at == issued + days(61));
}

TEST_CASE(
    "due: an emergency is a window that was in the past at once, or an explained one before the lifetime's moment") {
  const Time now = issued + days(20);
  CertificateFacts past = living_for(days(90));
  suggest(past, days(20) - 1h, days(20) - 30min, now, 0.5);
  CHECK(due_at(past, now).renew_now);
  CHECK(due_at(past, now).emergency);

  // Moved there by the CA, which had suggested another before.
  CertificateFacts moved = living_for(days(90));
  suggest(moved, days(60), days(62), issued, 0.5);
  CHECK_FALSE(due_at(moved, now).emergency);
  suggest(moved, days(20) - 1h, days(20) - 30min, now, 0.5);
  CHECK(due_at(moved, now).renew_now);
  CHECK(due_at(moved, now).emergency);

  // The same window, known since before it began: late, no more.
  CertificateFacts late = living_for(days(90));
  suggest(late, days(20) - 1h, days(20) - 30min, now - 2h, 0.5);
  CHECK(due_at(late, now).renew_now);
  CHECK_FALSE(due_at(late, now).emergency);
  late.renewal.window_since.reset();  // an older state does not say
  CHECK(due_at(late, now).emergency);

  CertificateFacts ahead = living_for(days(90));
  suggest(ahead, days(30), days(31), now, 0.5);
  CHECK_FALSE(due_at(ahead, now).renew_now);
  ahead.renewal.info->explanation_url = "https://ca.test/why";
  CHECK(due_at(ahead, now).renew_now);
  CHECK(due_at(ahead, now).emergency);
  CHECK(due_at(ahead, now).at == now);

  // A CA that explains all of its windows does not make each of them an emergency.
  CertificateFacts usual = living_for(days(90));
  suggest(usual, days(60) - 21h, days(60) + 21h, now, 0.5);
  usual.renewal.info->explanation_url = "https://ca.test/why";
  CHECK_FALSE(due_at(usual, now).renew_now);
  CHECK_FALSE(due_at(usual, now).emergency);
}

TEST_CASE("due: windows that make no sense are ignored, and named") {
  struct Row {
    Duration from, to;
    WindowFault fault;
  };
  for (const Row& row :
       {Row{days(50), days(90) + 1s, WindowFault::after_expiry}, Row{days(50), days(90), WindowFault::none},
        Row{days(52), days(50), WindowFault::reversed}, Row{days(50), days(50), WindowFault::none},
        Row{days(-20), days(71), WindowFault::over_lifetime}, Row{0s, days(90), WindowFault::none}}) {
    CAPTURE(row.from.count());
    CAPTURE(row.to.count());
    CertificateFacts facts = living_for(days(90));
    suggest(facts, row.from, row.to, issued, 0);
    facts.renewal.info->explanation_url = "https://ca.test/why";
    const Due result = due_at(facts, issued + days(1));
    CHECK(result.window_fault == row.fault);
    CHECK((result.rule == Rule::lifetime) == (row.fault != WindowFault::none));
    if (row.fault != WindowFault::none) CHECK(result.at == issued + days(60));
  }
}

TEST_CASE("due: what becomes due before the caller's next wake-up is due now") {
  for (const Duration lifetime : {Duration(days(90)), Duration(160h), Duration(1h), Duration(60s)}) {
    CAPTURE(lifetime.count());
    const CertificateFacts facts = living_for(lifetime);
    const Time at = due_at(facts, issued).at;
    CHECK_FALSE(due(facts, Policy(), issued, at).renew_now);
    CHECK(due(facts, Policy(), issued, at + 1ns).renew_now);
    CHECK(due(facts, Policy(), issued, at + 1ns).at == at);
    CHECK(due(facts, Policy(), issued, Time::max()).renew_now);
    CHECK_FALSE(due(facts, Policy(), issued, Time::min()).renew_now);
  }
}

TEST_CASE("due: the next check is the CA's, the certificate's or tomorrow's, and never at once") {
  CertificateFacts facts = living_for(days(90));
  CHECK(due_at(facts, issued).next_check == issued + 24h);
  CHECK(due_at(facts, issued + days(60) - 3h).next_check == issued + days(60));
  facts.renewal.next_check = issued + 6h;
  CHECK(due_at(facts, issued).next_check == issued + 6h);
  CHECK(due_at(facts, issued + 6h).next_check == issued + 30h);  // asking the CA is another matter
  CHECK(due_at(living_for(1h), issued).next_check == issued + 30min);
  CHECK(due_at(living_for(60s), issued).next_check == issued + 30s);

  // A renewal that fails is not tried again without a pause, nor after the end.
  CHECK(due_at(facts, issued + days(60)).next_check == issued + days(60) + 1h);
  CHECK(due_at(living_for(1h), issued + 30min).next_check == issued + 33min);
  CHECK(due_at(living_for(60s), issued + 30s).next_check == issued + 33s);
  CHECK(due_at(living_for(0s), issued).next_check == issued + 1h);
}

TEST_CASE("due: properties over random facts") {
  int due_now = 0, by_window = 0, emergencies = 0, ignored = 0;
  for_random_facts([&](Dice& dice, const CertificateFacts& facts, const Policy& policy, Time now) {
    const Due result = due(facts, policy, now);
    CHECK(same(result, due(facts, policy, now)));
    CHECK(result.next_check > now);
    CHECK(result.next_check <= now + 24h);
    CHECK(result.renew_now == (result.at <= now));
    CHECK((result.renew_now || now < facts.not_after));
    if (result.emergency) CHECK(result.renew_now);
    if (result.window_fault != WindowFault::none) CHECK(result.rule == Rule::lifetime);

    // As time goes by, with nothing learned: once due, always due; and not due before the next check.
    const Time later = now + dice.below(days(30));
    CHECK((!result.renew_now || due(facts, policy, later).renew_now));
    if (!result.renew_now) {
      const Time before = now + dice.below(result.next_check - now);
      CHECK_FALSE(due(facts, policy, before).renew_now);
    }

    // A wake-up changes whether to renew now and nothing else; with a later one it is not put off.
    const Time wake_up = dice.time(now, days(200));
    const Time later_wake_up = std::max(wake_up, dice.time(now, days(200)));
    const Due with = due(facts, policy, now, wake_up);
    CHECK(with.at == result.at);
    CHECK((!result.renew_now || with.renew_now));
    CHECK((!with.renew_now || due(facts, policy, now, later_wake_up).renew_now));
    if (!with.renew_now) CHECK(with.next_check == result.next_check);

    due_now += result.renew_now;
    by_window += result.rule == Rule::window;
    emergencies += result.emergency;
    ignored += result.window_fault != WindowFault::none;
  });
  // The facts were varied enough to mean something.
  for (const int count : {due_now, by_window, emergencies, ignored}) {
    CHECK(count > 1000);
    CHECK(count < 19'000);
  }
}

TEST_CASE("due: a caller that wakes up at next_check renews in time, whatever becomes of the CA") {
  for_random_facts([](Dice& dice, CertificateFacts facts, const Policy& policy, Time now) {
    if (facts.not_after > issued + days(100) || facts.not_before < issued - days(1)) return;
    const Duration life = lifetime(facts.not_before, facts.not_after);
    if (now >= facts.not_after - life / 20) return;
    const bool puts_off = dice.one_in(3);
    int looks = 0;
    for (Due result = due(facts, policy, now); !result.renew_now; result = due(facts, policy, now)) {
      REQUIRE(++looks < 2'000);
      now = result.next_check;
      if (facts.renewal.info && now >= facts.renewal.next_check.value_or(now)) {
        std::optional<RenewalInfo> answer = facts.renewal.info;
        answer->retry_after = std::chrono::ceil<std::chrono::seconds>(life / 100);
        if (puts_off) {  // the CA moves the window on, for ever
          answer->window_start = now + life / 4;
          answer->window_end = now + life / 3;
        } else if (dice.one_in(3)) {
          answer.reset();
        }
        facts.renewal = updated_renewal_state(facts.renewal, answer, now, dice.fraction(), life);
      }
    }
    CHECK(now <= facts.not_after - life / 20);
  });
}

TEST_CASE("renewal states: no answer, time or number overflows") {
  for_random_facts([](Dice& dice, const CertificateFacts& facts, const Policy&, Time) {
    const Time now = dice.time(issued, days(100));
    const RenewalState state =
        updated_renewal_state(facts.renewal, random_facts(dice).renewal.info, now, dice.fraction(),
                              dice.maybe(Duration(dice.pick({Duration::min(), Duration::max(), Duration(60s)}))));
    REQUIRE(state.dice.has_value());
    REQUIRE(state.next_check.has_value());
    CHECK_FALSE(decide_renewal(Certificate(), state, now).reason.empty());
  });
}
