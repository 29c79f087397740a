// When to renew: a table of facts and decisions.
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

TEST_CASE("renewal: without ARI a third of the lifetime is left, half when it is short") {
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

  const RenewalDecision before = decide_renewal(living(days(90)), state, issued + days(41) - 1s);
  CHECK_FALSE(before.renew_now);
  CHECK(before.renew_at == issued + days(41));
  CHECK(decide_renewal(living(days(90)), state, issued + days(41)).renew_now);
}

TEST_CASE("renewal: a window in the past means now, a late one does not put off what the lifetime wants") {
  const RenewalState past = updated_renewal_state(RenewalState(), window(-2h, -1h), issued + days(1), 0.999);
  const RenewalDecision decision = decide_renewal(living(days(90)), past, issued + days(1));
  CHECK(decision.renew_now);
  CHECK(decision.reason.find("the CA suggests") != std::string::npos);

  const RenewalState late = updated_renewal_state(RenewalState(), window(days(88), days(89)), issued, 0.5);
  CHECK(decide_renewal(living(days(90)), late, issued).renew_at == issued + days(60));
}

TEST_CASE("renewal: Retry-After is clamped, a failure changes nothing but when to ask again") {
  RenewalInfo info = window(days(50), days(52));
  info.retry_after = 1s;
  CHECK(updated_renewal_state(RenewalState(), info, issued, 0).next_check == issued + 1min);
  info.retry_after = days(300);
  CHECK(updated_renewal_state(RenewalState(), info, issued, 0).next_check == issued + 24h);
  info.retry_after = std::nullopt;
  CHECK(updated_renewal_state(RenewalState(), info, issued, 0).next_check == issued + 6h);

  const RenewalState known = updated_renewal_state(RenewalState(), window(days(50), days(52)), issued, 0.5);
  const RenewalState after = updated_renewal_state(known, std::nullopt, issued + days(1), 0.1);
  CHECK(after.chosen == known.chosen);
  CHECK(after.next_check == issued + days(1) + 6h);
  const RenewalState nothing = updated_renewal_state(RenewalState(), std::nullopt, issued, 0.1);
  CHECK_FALSE(nothing.chosen.has_value());
  CHECK(decide_renewal(living(days(90)), nothing, issued).renew_at == issued + days(60));
}

TEST_CASE("renewal: the reason is for people, and cannot carry escapes") {
  RenewalInfo info = window(days(1), days(2));
  info.explanation_url = "https://ca.test/why\x1b[31m";
  const RenewalState state = updated_renewal_state(RenewalState(), info, issued, 0.5);
  const RenewalDecision decision = decide_renewal(living(days(90)), state, issued);
  CHECK(decision.reason.find("https://ca.test/why") != std::string::npos);
  CHECK(decision.reason.find('\x1b') == std::string::npos);
}
