// When to renew: a table of facts and decisions.
#include <limits>

#include <doctest/doctest.h>

#include "base/time.hpp"
#include "culmen/renewal_info.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using TimePoint = std::chrono::system_clock::time_point;
using days = std::chrono::days;

namespace {

constexpr TimePoint issued{1'800'000'000s};

Certificate living(std::chrono::seconds lifetime) {
  Certificate certificate;
  certificate.not_before = issued;
  certificate.not_after = issued + lifetime;
  return certificate;
}

RenewalInfo window(std::chrono::seconds from, std::chrono::seconds to) {
  RenewalInfo info;
  info.window_start = issued + from;
  info.window_end = issued + to;
  info.retry_after = 6h;
  return info;
}

}  // namespace

TEST_CASE("renewal: without ARI and without dice a third of the lifetime is left, half when it is short") {
  struct Row {
    std::chrono::seconds lifetime;
    std::chrono::seconds due;
  };
  for (const Row& row : {Row{days(90), days(60)}, Row{days(45), days(30)}, Row{days(10), 160h}, Row{days(6), days(3)},
                         Row{160h, 80h}, Row{30min, 15min}}) {
    const Certificate certificate = living(row.lifetime);
    CAPTURE(row.lifetime.count());
    CHECK(decide_renewal(certificate, RenewalState(), issued).renew_at == issued + row.due);
    CHECK_FALSE(decide_renewal(certificate, RenewalState(), issued + row.due - 1s).renew_now);
    CHECK(decide_renewal(certificate, RenewalState(), issued + row.due).renew_now);
    CHECK(decide_renewal(certificate, RenewalState(), issued + row.lifetime + days(5)).renew_now);
  }
}

TEST_CASE("renewal: a moment in the CA's window is picked once and kept while the window stays") {
  RenewalState state = updated_renewal_state(RenewalState(), window(days(50), days(52)), issued, 0.25);
  CHECK(state.chosen == issued + days(50) + 12h);
  state = updated_renewal_state(state, window(days(50), days(52)), issued + 6h, 0.9);
  CHECK(state.chosen == issued + days(50) + 12h);
  state = updated_renewal_state(state, window(days(40), days(42)), issued + 12h, 0.5);
  CHECK(state.chosen == issued + days(41));

  const double no_number = std::numeric_limits<double>::quiet_NaN();
  CHECK(updated_renewal_state(RenewalState(), window(days(50), days(52)), issued, no_number).chosen ==
        issued + days(50));

  const RenewalDecision before = decide_renewal(living(days(90)), state, issued + days(41) - 1s);
  CHECK_FALSE(before.renew_now);
  CHECK(before.renew_at == issued + days(41));
  CHECK(decide_renewal(living(days(90)), state, issued + days(41)).renew_now);
}

TEST_CASE("renewal: a window in the past means now, a late one is obeyed as long as the CA keeps to it") {
  const RenewalState past = updated_renewal_state(RenewalState(), window(-2h, -1h), issued + days(1), 0.999);
  const RenewalDecision decision = decide_renewal(living(days(90)), past, issued + days(1));
  CHECK(decision.renew_now);
  CHECK(decision.emergency);
  CHECK(decision.reason.find("the CA suggests") != std::string::npos);

  RenewalState late = updated_renewal_state(RenewalState(), window(days(70), days(72)), issued, 0.5);
  CHECK(decide_renewal(living(days(90)), late, issued).renew_at == issued + days(71));
  // Not answered for 12 hours: by lifetime, 60 days less half of the spread.
  CHECK(decide_renewal(living(days(90)), late, issued + 12h).renew_at == issued + days(60) - 54h);
  late = updated_renewal_state(late, window(days(70), days(72)), issued + days(65), 0.9);
  CHECK_FALSE(decide_renewal(living(days(90)), late, issued + days(65)).renew_now);
  // On its way to the end of the window nothing becomes an emergency; it is due, no more.
  late = updated_renewal_state(late, window(days(70), days(72)), issued + days(74), 0.9);
  const RenewalDecision overdue = decide_renewal(living(days(90)), late, issued + days(74));
  CHECK(overdue.renew_now);
  CHECK_FALSE(overdue.emergency);
}

TEST_CASE("renewal: what becomes due before the caller wakes up again is renewed now (RFC 9773 §4.2)") {
  const RenewalState state = updated_renewal_state(RenewalState(), window(1h, 3h), issued, 0.5);
  CHECK_FALSE(decide_renewal(living(days(90)), state, issued).renew_now);
  CHECK_FALSE(decide_renewal(living(days(90)), state, issued, issued + 1h).renew_now);
  const RenewalDecision decision = decide_renewal(living(days(90)), state, issued, issued + 24h);
  CHECK(decision.renew_now);
  CHECK(decision.renew_at == issued + 2h);
  CHECK(decision.reason.find("the next chance would be later") != std::string::npos);
}

TEST_CASE("renewal: Retry-After is clamped, a failure changes nothing but when to ask again") {
  RenewalInfo info = window(days(50), days(52));
  const auto next_check = [&info](std::optional<std::chrono::seconds> retry_after,
                                  std::optional<std::chrono::seconds> lifetime = std::nullopt) {
    info.retry_after = retry_after;
    return updated_renewal_state(RenewalState(), info, issued, 0, lifetime).next_check.value() - issued;
  };
  CHECK(next_check(1s) == 1min);
  CHECK(next_check(-1s) == 1min);
  CHECK(next_check(std::chrono::seconds::min()) == 1min);
  CHECK(next_check(days(300)) == 24h);
  CHECK(next_check(std::chrono::seconds::max()) == 24h);
  CHECK(next_check(std::nullopt) == 6h);
  // No wait that is culmen's own is longer than a twentieth of the lifetime.
  CHECK(next_check(1s, days(90)) == 1min);
  CHECK(next_check(1s, 60s) == 3s);
  CHECK(next_check(10s, 60s) == 10s);
  CHECK(next_check(std::nullopt, 1h) == 3min);
  CHECK(next_check(std::nullopt, 160h) == 6h);
  CHECK(updated_renewal_state(RenewalState(), std::nullopt, issued, 0, 1h).next_check == issued + 3min);

  const RenewalState known = updated_renewal_state(RenewalState(), window(days(50), days(52)), issued, 0.5);
  const RenewalState after = updated_renewal_state(known, std::nullopt, issued + days(1), 0.1);
  CHECK(after.chosen == known.chosen);
  CHECK(after.dice == 0.5);
  CHECK(after.answered_at == issued);
  CHECK(after.next_check == issued + days(1) + 6h);
  const RenewalState nothing = updated_renewal_state(RenewalState(), std::nullopt, issued, 0.1);
  CHECK_FALSE(nothing.chosen.has_value());
  CHECK(decide_renewal(living(days(90)), nothing, issued).renew_at == issued + days(60) - 648min);
}

TEST_CASE("renewal: a window that makes no sense is ignored, and the decision says so") {
  struct Row {
    std::chrono::seconds from, to;
    const char* why;
  };
  for (const Row& row : {Row{days(80), days(91), "it ends after the certificate does"},
                         Row{days(52), days(50), "it ends before it starts"},
                         Row{days(-10), days(81), "it is longer than the certificate's lifetime"}}) {
    CAPTURE(row.why);
    const RenewalState state = updated_renewal_state(RenewalState(), window(row.from, row.to), issued, 0);
    const RenewalDecision decision = decide_renewal(living(days(90)), state, issued);
    CHECK(decision.window_ignored);
    CHECK(decision.renew_at == issued + days(60));
    CHECK(decision.reason.find(row.why) != std::string::npos);
  }
  const RenewalState state = updated_renewal_state(RenewalState(), window(days(80), days(90)), issued, 0);
  CHECK_FALSE(decide_renewal(living(days(90)), state, issued).window_ignored);
}

TEST_CASE("renewal: states of older versions, and states that are damaged") {
  // Without dice, and without when the CA answered: whichever is sooner, as before.
  RenewalState old;
  old.info = window(days(50), days(52));
  old.chosen = issued + days(51);
  CHECK(decide_renewal(living(days(90)), old, issued).renew_at == issued + days(51));
  old.info = window(days(70), days(72));
  old.chosen = issued + days(71);
  CHECK(decide_renewal(living(days(90)), old, issued).renew_at == issued + days(60));

  RenewalState headless;
  headless.chosen = issued + days(1);
  const RenewalDecision decision = decide_renewal(living(days(90)), headless, issued + days(2));
  CHECK(decision.renew_at == issued + days(60));
  CHECK(decision.reason.find("by its lifetime") != std::string::npos);
}

TEST_CASE("renewal: the reason is for people, and cannot carry escapes") {
  RenewalInfo info = window(days(1), days(2));
  info.explanation_url = "https://ca.test/why\x1b[31m";
  const RenewalState state = updated_renewal_state(RenewalState(), info, issued, 0.5);
  const RenewalDecision decision = decide_renewal(living(days(90)), state, issued);
  CHECK(decision.reason.find("https://ca.test/why") != std::string::npos);
  CHECK(decision.reason.find('\x1b') == std::string::npos);
}
