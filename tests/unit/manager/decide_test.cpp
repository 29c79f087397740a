// What to do about a certificate: a table for each rule.
#include <limits>

#include <doctest/doctest.h>

#include "culmen/planner.hpp"

using namespace culmen;
using namespace culmen::planner;
using namespace std::chrono_literals;
using days = std::chrono::days;
using Kind = Action::Kind;

namespace {

constexpr Time issued{1'800'000'000s};
const std::string first = "https://first.test/dir";
const std::string second = "https://second.test/dir";
using Healths = std::map<std::string, CaHealth>;

/// A certificate of that lifetime, from the first of two CAs, without renewal information or spread.
Situation living_with(Duration lifetime) {
  Situation situation;
  situation.live.emplace();
  situation.live->not_before = issued;
  situation.live->not_after = issued + lifetime;
  situation.issued_by = first;
  situation.cas = {first, second};
  situation.dice = 0;
  return situation;
}

Situation never_issued() {
  Situation situation;
  situation.cas = {first, second};
  situation.dice = 0.5;
  return situation;
}

Action decided(const Situation& situation, Time now, const Healths& healths = {}) {
  return decide(situation, healths, Policy(), now);
}

/// `in_a_row` failures, the last one at `at`.
Attempts failed(Failure failure, unsigned in_a_row, Time at,
                std::optional<std::chrono::seconds> retry_after = std::nullopt) {
  Attempts attempts;
  for (unsigned i = 0; i < in_a_row; ++i) attempts = updated_attempts(attempts, failure, at, retry_after);
  return attempts;
}

CaHealth down(unsigned failures, Time at) {
  CaHealth health;
  for (unsigned i = 0; i < failures; ++i) health = updated_health(health, Failure::ca_unreachable, at);
  return health;
}

struct Life {
  Duration lifetime, due;
};
const std::vector<Life> lives = {{days(90), days(60)}, {days(47), 47 * 16h}, {160h, 80h},
                                 {24h, 12h},           {1h, 30min},          {60s, 30s}};

}  // namespace

TEST_CASE("decide: by lifetime, nothing before it is due, an order from then on, late from half of the rest on") {
  for (const Life& life : lives) {
    CAPTURE(life.lifetime.count());
    const Situation situation = living_with(life.lifetime);
    const Time due = issued + life.due, end = issued + life.lifetime;

    const Action before = decided(situation, due - 1ms);
    CHECK(before.kind == Kind::nothing);
    CHECK(before.wake_at == due);
    CHECK_FALSE(before.late);
    CHECK(decided(situation, issued).wake_at == std::min(due, issued + 24h));

    for (const Time now : {due, due + (end - due) / 2}) {
      const Action action = decided(situation, now);
      CHECK(action.kind == Kind::issue);
      CHECK(action.ca == first);
      CHECK_FALSE(action.late);
      CHECK_FALSE(action.emergency);
      CHECK_FALSE(action.replaces);
      CHECK(action.wake_at == now + std::min<Duration>(1h, life.lifetime / 20));
    }
    CHECK(decided(situation, due + (end - due) / 2 + 1ms).late);
    const Action expired = decided(situation, end);
    CHECK(expired.kind == Kind::issue);
    CHECK(expired.late);
    CHECK(expired.reason.starts_with("it expired on 20"));
  }
}

TEST_CASE("decide: an emergency is early until it is due by its lifetime, too") {
  Situation situation = living_with(days(90));
  situation.emergency = true;
  const Time due = issued + days(60);
  CHECK(decided(situation, due - 1s).early);
  CHECK_FALSE(decided(situation, due).early);
  CHECK_FALSE(decided(situation, issued + days(91)).early);
  situation.outdated = true;
  CHECK_FALSE(decided(situation, due - 1s).early);
  CHECK_FALSE(decided(never_issued(), issued).early);
  CHECK_FALSE(decided(living_with(days(90)), due).early);

  // The CA's window has passed: early by the same rule.
  situation = living_with(days(90));
  situation.offers_renewal_info = true;
  RenewalInfo info;
  info.window_start = issued + 1h;
  info.window_end = issued + 2h;
  info.explanation_url = "https://ca.test/incident";
  situation.live->renewal = updated_renewal_state(RenewalState(), info, issued + days(30), 0.5, days(90));
  const Action action = decided(situation, issued + days(30));
  CHECK(action.kind == Kind::issue);
  CHECK(action.early);
  CHECK_FALSE(decided(situation, due).early);
}

TEST_CASE("decide: the dice spread the moment, and renew_before replaces the rule") {
  Situation situation = living_with(days(90));
  situation.dice = 0.5;
  CHECK(decided(situation, issued + days(60) - 54h - 1s).kind == Kind::nothing);
  CHECK(decided(situation, issued + days(60) - 54h).kind == Kind::issue);
  situation.live->renewal.dice = 0;  // drawn when the CA was asked for the first time: nothing moves
  CHECK(decided(situation, issued + days(60) - 54h).kind == Kind::issue);

  struct Row {
    Duration lifetime;
    std::chrono::seconds before;
    Duration due;
  };
  for (const Row& row :
       {Row{days(90), days(10), days(80)}, Row{days(90), days(60), days(30)}, Row{days(90), days(400), days(9)},
        Row{160h, 24h, 136h}, Row{60s, 10s, 50s}, Row{60s, std::chrono::seconds::max(), 6s}, Row{1h, 0s, 1h},
        Row{1h, std::chrono::seconds::min(), 1h}}) {
    CAPTURE(row.lifetime.count());
    CAPTURE(row.before.count());
    Situation wanted = living_with(row.lifetime);
    wanted.renew_before = row.before;
    CHECK(decided(wanted, issued + row.due - 1ms).kind == Kind::nothing);
    CHECK(decided(wanted, issued + row.due).kind == Kind::issue);
    // The spread goes before, and never makes a new certificate due.
    wanted.dice = 1;
    CHECK(decided(wanted, issued + row.lifetime / 10 - 1ms).kind == Kind::nothing);
    const Time spread = issued + std::max(row.due - row.lifetime / 20, row.lifetime / 10);
    CHECK(decided(wanted, spread + 1ms).kind == Kind::issue);
  }
}

TEST_CASE("decide: renewal information is asked for when it is time, unless the certificate is due") {
  for (const Life& life : lives) {
    CAPTURE(life.lifetime.count());
    Situation situation = living_with(life.lifetime);
    situation.offers_renewal_info = true;
    const Time now = issued + life.due / 2;
    const Action ask = decided(situation, now);
    CHECK(ask.kind == Kind::ask_renewal_info);
    CHECK(ask.ca == first);
    CHECK(ask.wake_at <= now + life.lifetime / 20);

    situation.live->renewal.next_check = now + life.lifetime / 100;
    const Action wait = decided(situation, now);
    CHECK(wait.kind == Kind::nothing);
    CHECK(wait.wake_at == std::min(now + life.lifetime / 100, now + 24h));
    // An overdue certificate is issued first.
    const Action issue = decided(situation, issued + life.due);
    CHECK(issue.kind == Kind::issue);
    CHECK(issue.replaces);
    // If nobody can issue it now, its CA is asked meanwhile: it may have moved the window.
    situation.allowed_at[first] = situation.allowed_at[second] = issued + 2 * life.lifetime;
    CHECK(decided(situation, issued + life.due).kind == Kind::ask_renewal_info);
    CHECK(decided(situation, issued + life.lifetime).kind == Kind::nothing);
    situation.emergency = true;
    CHECK(decided(situation, issued + life.due).kind == Kind::nothing);
  }
  Situation without = living_with(days(90));
  CHECK(decided(without, issued).kind == Kind::nothing);
  // The clock was set back.
  without.offers_renewal_info = true;
  without.live->renewal.next_check = issued + days(300);
  CHECK(decided(without, issued).kind == Kind::ask_renewal_info);
  // A CA that is down is not asked; one that may be up again is, whoever else tries.
  without.live->renewal.next_check = issued;
  Healths closed = {{first, down(5, issued)}};
  CHECK(decided(without, issued, closed).kind == Kind::nothing);
  CHECK(decided(without, issued, closed).wake_at == issued + 60s);
  CHECK(decided(without, issued + 60s, closed).kind == Kind::ask_renewal_info);
  CHECK_FALSE(decided(without, issued + 60s, closed).probe);
  closed[first].probing = true;
  CHECK(decided(without, issued + 60s, closed).kind == Kind::ask_renewal_info);
}

TEST_CASE("decide: a fresh window decides, and one that is not wanted is ignored") {
  Situation situation = living_with(days(90));
  situation.offers_renewal_info = true;
  RenewalState& state = situation.live->renewal;
  state.info.emplace();
  state.info->window_start = issued + days(70);
  state.info->window_end = issued + days(72);
  state.info->retry_after = 6h;
  state.chosen = issued + days(71);
  state.answered_at = issued + days(70);
  state.window_since = issued;
  state.next_check = issued + days(70) + 6h;
  CHECK(decided(situation, issued + days(70)).kind == Kind::nothing);
  CHECK(decided(situation, issued + days(71)).kind == Kind::issue);
  CHECK(decided(situation, issued + days(71)).replaces);
  situation.offers_renewal_info = false;  // use_renewal_info is off
  CHECK(decided(situation, issued + days(70)).kind == Kind::issue);
  CHECK_FALSE(decided(situation, issued + days(70)).replaces);

  situation.offers_renewal_info = true;
  state.info->window_start = issued + days(9);
  state.info->window_end = issued + days(10);
  state.answered_at = state.window_since = issued + days(10) + 1h;
  state.chosen = issued + days(9);
  const Action incident = decided(situation, issued + days(10) + 1h);
  CHECK(incident.kind == Kind::issue);
  CHECK(incident.emergency);
  CHECK_FALSE(incident.late);
  CHECK(incident.reason == "the CA wants it replaced at once");
}

TEST_CASE("decide: the second CA only when never issued, outdated, in an emergency, or when little time is left") {
  for (const Life& life : lives) {
    CAPTURE(life.lifetime.count());
    Situation situation = living_with(life.lifetime);
    const Time due = issued + life.due, end = issued + life.lifetime;
    const Time turn = end - (end - due) / 4 * 3;
    situation.allowed_at[first] = end + days(1);
    CHECK(decided(situation, due).kind == Kind::nothing);
    CHECK(decided(situation, due).wake_at == std::min(turn + 1ns, due + 24h));
    CHECK(decided(situation, due).not_before == end + days(1));
    CHECK_FALSE(decided(situation, turn + 1ns).not_before.has_value());
    CHECK(decided(situation, turn).kind == Kind::nothing);
    CHECK(decided(situation, turn + 1ns).kind == Kind::issue);
    CHECK(decided(situation, turn + 1ns).ca == second);
    situation.allowed_at.clear();
    CHECK(decided(situation, turn + 1ns).ca == first);
  }
  for (int which = 0; which < 3; ++which) {
    CAPTURE(which);
    Situation situation = which == 0 ? never_issued() : living_with(days(90));
    situation.outdated = which == 1;
    situation.emergency = which == 2;
    CHECK(decided(situation, issued).ca == first);
    CHECK(decided(situation, issued).emergency == (which == 2));
    situation.allowed_at[first] = issued + 1s;
    CHECK(decided(situation, issued).kind == Kind::issue);
    CHECK(decided(situation, issued).ca == second);
    CHECK_FALSE(decided(situation, issued).replaces);
  }
  CHECK(decided(living_with(0s), issued).late);
  CHECK(decided(living_with(-1h), issued).late);
  Situation nobody = living_with(days(90));
  nobody.cas.clear();
  const Action action = decided(nobody, issued + days(70));
  CHECK(action.kind == Kind::nothing);
  CHECK(action.reason.find("there is no CA to ask") != std::string::npos);
}

TEST_CASE("decide: nothing while it is in progress, what another process holds is looked at when its lease ends") {
  Situation situation = living_with(days(90));
  situation.emergency = true;
  situation.in_flight = true;
  CHECK(decided(situation, issued).kind == Kind::nothing);
  CHECK(decided(situation, issued).wake_at > issued);
  situation.in_flight = false;
  situation.held_until = issued + 30s;
  CHECK(decided(situation, issued).kind == Kind::nothing);
  CHECK(decided(situation, issued).wake_at == issued + 30s);
  CHECK(decided(situation, issued + 30s).kind == Kind::look_in_storage);
  CHECK(decided(situation, issued + 30s).wake_at == issued + 90s);
  situation.held_until = issued + days(3);  // the clock was set back
  CHECK(decided(situation, issued).kind == Kind::look_in_storage);
}

TEST_CASE("back-off: base and limit by failure, lifetime and what is left") {
  struct Row {
    Failure failure;
    unsigned in_a_row;
    std::optional<Duration> lifetime, left;
    Duration pause;
  };
  constexpr std::optional<Duration> unknown;
  const Row rows[] = {
      // Never issued: no lifetime is known.
      {Failure::validation, 1, unknown, unknown, 15min},
      {Failure::validation, 2, unknown, unknown, 30min},
      {Failure::validation, 5, unknown, unknown, 4h},
      {Failure::validation, 6, unknown, unknown, 6h},
      {Failure::validation, std::numeric_limits<unsigned>::max(), unknown, unknown, 6h},
      {Failure::ca_unreachable, 1, unknown, unknown, 60s},
      {Failure::ca_unreachable, 4, unknown, unknown, 8min},
      {Failure::local, 1, unknown, unknown, 30s},
      {Failure::ca_refused, 1, unknown, unknown, 6h},
      {Failure::rate_limited, 1, unknown, unknown, 1h},
      {Failure::rate_limited, 3, unknown, unknown, 4h},
      {Failure::none, 0, unknown, unknown, 0s},
      // Half an attempt: the number was lost.
      {Failure::validation, 0, unknown, unknown, 15min},
      // 90 days, with 30 left.
      {Failure::validation, 1, days(90), days(30), 15min},
      {Failure::validation, 20, days(90), days(30), 6h},
      {Failure::ca_refused, 1, days(90), days(30), 6h},
      // Less is left: an eighth of it, and ten minutes at the end.
      {Failure::ca_refused, 1, days(90), 16h, 2h},
      {Failure::validation, 20, days(90), 16h, 2h},
      {Failure::validation, 20, days(90), 1h, 10min},
      {Failure::validation, 20, days(90), -days(30), 10min},
      {Failure::ca_unreachable, 1, days(90), 0s, 60s},
      // Shorter lives: a twentieth of them.
      {Failure::ca_refused, 1, days(47), days(15), 6h},
      {Failure::ca_refused, 1, 160h, 80h, 6h},
      {Failure::ca_refused, 9, 24h, 12h, 72min},
      {Failure::validation, 1, 24h, 12h, 15min},
      {Failure::rate_limited, 1, 24h, 12h, 1h},
      {Failure::rate_limited, 1, 1h, 30min, 3min},
      {Failure::validation, 1, 1h, 30min, 3min},
      {Failure::ca_unreachable, 1, 1h, 30min, 60s},
      {Failure::validation, 1, 60s, 30s, 3s},
      {Failure::local, 9, 60s, -1h, 3s},
  };
  for (const Row& row : rows) {
    CAPTURE(to_string(row.failure));
    CAPTURE(row.in_a_row);
    Attempts attempts;
    attempts.last = row.failure;
    attempts.in_a_row = row.in_a_row;
    CHECK(back_off(attempts, Policy(), 0.5, row.lifetime, row.left) == row.pause);
    const Duration least = back_off(attempts, Policy(), 0, row.lifetime, row.left);
    const Duration most = back_off(attempts, Policy(), 1, row.lifetime, row.left);
    CHECK(least == row.pause / 5 * 4);
    CHECK(most == row.pause / 5 * 6);
  }
}

TEST_CASE("back-off: no policy is without a pause, or without an end") {
  using std::chrono::seconds;
  Attempts attempts = failed(Failure::validation, 3, issued);
  for (const seconds value : {seconds::min(), seconds(-1), seconds(0), seconds::max()}) {
    CAPTURE(value.count());
    Policy policy;
    policy.validation_back_off = policy.longest_back_off = value;
    const Duration pause = back_off(attempts, policy, 0.5, std::nullopt, std::nullopt);
    CHECK(pause >= 1s);
    CHECK(pause <= days(366));
    CHECK(back_off(attempts, policy, 0.5, Duration(1), Duration::min()) > 0s);
    for (const double dice : {std::numeric_limits<double>::quiet_NaN(), -1e300, 1e300}) {
      CHECK(back_off(attempts, policy, dice, days(90), Duration::max()) > 0s);
      CHECK(back_off(attempts, policy, dice, Duration::max(), std::nullopt) <= days(440));
    }
  }
}

TEST_CASE("decide: a failed attempt is repeated after its pause, at the same CA or at the next") {
  Situation situation = living_with(days(90));
  const Time due = issued + days(60);
  situation.dice = 0;
  situation.attempts[first] = failed(Failure::validation, 1, due);
  const Action wait = decided(situation, due + 1s);
  CHECK(wait.kind == Kind::nothing);
  CHECK(wait.wake_at == due + 12min);
  CHECK(wait.reason.find("after 1 failure (validation)") != std::string::npos);
  CHECK(decided(situation, due + 12min).kind == Kind::issue);
  // The other CA waits for its turn, and has a back-off of its own then.
  const Time turn = issued + days(90) - days(22) - 12h + 1s;
  situation.attempts[first] = failed(Failure::ca_refused, 1, turn);
  CHECK(decided(situation, turn).ca == second);
  situation.attempts[second] = failed(Failure::ca_unreachable, 1, turn);
  CHECK(decided(situation, turn).kind == Kind::nothing);
  CHECK(decided(situation, turn).wake_at == turn + 48s);
  CHECK(decided(situation, turn + 48s).ca == second);

  // In an emergency the pauses are those of an expired certificate.
  situation.attempts[first] = failed(Failure::ca_refused, 1, due);
  situation.attempts[second] = failed(Failure::ca_refused, 1, due);
  CHECK(decided(situation, due + 8min).kind == Kind::nothing);
  situation.emergency = true;
  CHECK(decided(situation, due + 8min - 1s).kind == Kind::nothing);
  CHECK(decided(situation, due + 8min).kind == Kind::issue);
}

TEST_CASE("decide: Retry-After is obeyed, for a week at most") {
  struct Row {
    Duration lifetime;
    std::chrono::seconds asked;
    Duration obeyed;
  };
  for (const Row& row : {Row{days(90), 2h, 2h}, Row{days(90), days(3), days(3)}, Row{days(90), days(365), days(7)},
                         Row{days(47), days(365), days(7)}, Row{160h, days(365), 26h + 40min}, Row{24h, 20h, 20h},
                         Row{24h, days(3), 24h}, Row{1h, days(3), 24h}, Row{60s, 20min, 20min}}) {
    CAPTURE(row.lifetime.count());
    CAPTURE(row.asked.count());
    Situation situation = living_with(row.lifetime);
    const Time failed_at = issued + row.lifetime;
    situation.cas = {first};
    situation.attempts[first] = failed(Failure::rate_limited, 1, failed_at, row.asked);
    CHECK(decided(situation, failed_at + row.obeyed - 1s).kind == Kind::nothing);
    CHECK(decided(situation, failed_at + row.obeyed).kind == Kind::issue);
    // The other CA gets its turn meanwhile.
    situation.cas = {first, second};
    CHECK(decided(situation, failed_at + 1s).ca == second);
  }
  // A short one is not an invitation to ask at each second; without one it is an hour.
  Situation situation = never_issued();
  situation.cas = {first};
  situation.attempts[first] = failed(Failure::rate_limited, 1, issued, 1s);
  CHECK(decided(situation, issued + 59s).kind == Kind::nothing);
  CHECK(decided(situation, issued + 60s).kind == Kind::issue);
  situation.attempts[first] = failed(Failure::rate_limited, 1, issued);
  CHECK(decided(situation, issued + 59min).kind == Kind::nothing);
  CHECK(decided(situation, issued + 60min).kind == Kind::issue);
}

TEST_CASE("decide: attempts of a clock that was wrong do not stop a certificate") {
  Situation situation = living_with(days(90));
  const Time due = issued + days(60);
  situation.cas = {first};
  situation.attempts[first] = failed(Failure::ca_refused, 3, due + days(100), days(2));
  CHECK(decided(situation, due).kind == Kind::issue);
  situation.attempts[first] = failed(Failure::ca_unreachable, 1, due + 10s);  // another host, ten seconds ahead
  CHECK(decided(situation, due).kind == Kind::nothing);
  CHECK(decided(situation, due).wake_at == due + 10s + 48s);
  Attempts unknown_time;
  unknown_time.in_a_row = 3;
  unknown_time.last = Failure::validation;
  unknown_time.not_before = due + days(300);
  situation.attempts[first] = unknown_time;
  CHECK(decided(situation, due).kind == Kind::issue);
}

TEST_CASE("decide: a certificate that is due as soon as it is issued is not issued without end") {
  // The clock of this machine is 75 days ahead.
  for (const Life& life : lives) {
    CAPTURE(life.lifetime.count());
    Situation situation = living_with(life.lifetime);
    const Time now = issued + life.lifetime / 6 * 5;
    situation.attempts[first] = updated_attempts(Attempts(), Failure::none, now);
    const Duration rest = std::min<Duration>(24h, life.lifetime / 20);
    CHECK(decided(situation, now).kind == Kind::nothing);
    CHECK(decided(situation, now + rest - 1ms).kind == Kind::nothing);
    CHECK(decided(situation, now + rest).kind == Kind::issue);
    // What is wanted keeps changing: at most once a minute. An operator's emergency does not wait.
    situation.outdated = true;
    const Duration shorter = std::min<Duration>(1min, life.lifetime / 20);
    CHECK(decided(situation, now + shorter - 1ms).kind == Kind::nothing);
    CHECK(decided(situation, now + shorter).kind == Kind::issue);
    situation.emergency = true;
    CHECK(decided(situation, now).kind == Kind::issue);
  }
}

TEST_CASE("health: five failures in a row close a CA, for longer with each, and one attempt at a time opens it") {
  CaHealth health;
  const std::pair<unsigned, Duration> rows[] = {{1, 0s},   {4, 0s},     {5, 1min},   {6, 2min},
                                                {9, 5min}, {34, 30min}, {35, 30min}, {100, 30min}};
  for (const auto& row : rows) {
    CAPTURE(row.first);
    health = down(row.first, issued);
    CHECK(health.failures_in_a_row == row.first);
    CHECK(health.closed_until.has_value() == (row.second > 0s));
    if (health.closed_until) CHECK(*health.closed_until == issued + row.second);
  }
  health.failures_in_a_row = std::numeric_limits<unsigned>::max();
  CHECK(updated_health(health, Failure::ca_unreachable, issued).failures_in_a_row ==
        std::numeric_limits<unsigned>::max());

  for (const Failure answer : {Failure::none, Failure::validation, Failure::ca_refused, Failure::rate_limited}) {
    const CaHealth open = updated_health(down(9, issued), answer, issued);
    CHECK(open.failures_in_a_row == 0);
    CHECK_FALSE(open.closed_until.has_value());
  }
  CaHealth probing = down(9, issued);
  probing.probing = true;
  const CaHealth local = updated_health(probing, Failure::local, issued);
  CHECK(local.closed_until == probing.closed_until);
  CHECK(local.failures_in_a_row == 9);
  CHECK_FALSE(local.probing);
  CHECK_FALSE(updated_health(probing, Failure::ca_unreachable, issued).probing);
}

TEST_CASE("decide: a closed CA is left alone, then gets one probe at a time, sooner for short lifetimes") {
  Situation situation = never_issued();
  situation.cas = {first};
  Healths healths = {{first, down(9, issued)}};
  CHECK(decided(situation, issued, healths).kind == Kind::nothing);
  CHECK(decided(situation, issued, healths).wake_at == issued + 5min);
  CHECK(decided(situation, issued + 5min, healths).kind == Kind::issue);
  CHECK(decided(situation, issued + 5min, healths).probe);
  CHECK_FALSE(decided(situation, issued + 5min).probe);
  healths[first].probing = true;
  CHECK(decided(situation, issued + 5min, healths).kind == Kind::nothing);
  CHECK(decided(situation, issued + 5min, healths).wake_at == issued + 6min);
  // The other CA is open.
  situation.cas = {first, second};
  CHECK(decided(situation, issued, healths).ca == second);
  CHECK_FALSE(decided(situation, issued, healths).probe);

  for (const Life& life : lives) {
    CAPTURE(life.lifetime.count());
    Situation due = living_with(life.lifetime);
    due.cas = {first};
    const Time now = issued + life.due;
    const Healths closed = {{first, down(40, now)}};
    const Duration pause = std::min<Duration>(30min, life.lifetime / 20);
    CHECK(decided(due, now + pause - 1ms, closed).kind == Kind::nothing);
    CHECK(decided(due, now + pause, closed).kind == Kind::issue);
    CHECK(decided(due, now + pause, closed).probe);
  }
  // A CA that said itself how long it is closed; and a clock that was set back.
  healths[first] = CaHealth();
  healths[first].closed_until = issued + 2h;
  situation.cas = {first};
  CHECK(decided(situation, issued + 2h - 1s, healths).kind == Kind::nothing);
  healths[first].closed_until = issued + days(2);
  CHECK(decided(situation, issued, healths).kind == Kind::issue);
}

TEST_CASE("attempts: counted, timed, and forgotten with a success") {
  Attempts attempts = updated_attempts(Attempts(), Failure::validation, issued, 5s);
  CHECK(attempts.in_a_row == 1);
  CHECK(attempts.not_before == issued + 5s);
  attempts = updated_attempts(attempts, Failure::local, issued + 1s);
  CHECK(attempts.in_a_row == 2);
  CHECK(attempts.last == Failure::local);
  CHECK(attempts.last_at == issued + 1s);
  CHECK_FALSE(attempts.not_before.has_value());
  for (const std::chrono::seconds odd : {std::chrono::seconds::min(), std::chrono::seconds(-1)})
    CHECK(updated_attempts(attempts, Failure::local, issued, odd).not_before == issued);
  CHECK(updated_attempts(attempts, Failure::local, issued, std::chrono::seconds::max()).not_before == issued + days(7));
  (void)updated_attempts(attempts, Failure::local, Time::max(), std::chrono::seconds::max());
  (void)updated_attempts(attempts, Failure::local, Time::min(), std::chrono::seconds::min());
  attempts.in_a_row = std::numeric_limits<unsigned>::max();
  CHECK(updated_attempts(attempts, Failure::local, issued).in_a_row == std::numeric_limits<unsigned>::max());
  attempts = updated_attempts(attempts, Failure::none, issued + 2s, 5s);
  CHECK(attempts.in_a_row == 0);
  CHECK(attempts.last_at == issued + 2s);
  CHECK_FALSE(attempts.not_before.has_value());
}

TEST_CASE("failures: of errors, of their problems, and their names") {
  const auto problem = [](const std::string& type, int status = 0) {
    Problem made;
    made.type = type == "about:blank" ? type : "urn:ietf:params:acme:error:" + type;
    made.status = status;
    return made;
  };
  struct Row {
    Error error;
    Failure failure;
  };
  const Error order(Errc::order_invalid, "issuing");
  for (const Row& row : {
           Row{Error(Errc::connection_failed, ""), Failure::ca_unreachable},
           Row{Error(Errc::tls_failed, ""), Failure::ca_unreachable},
           Row{Error(Errc::bad_response, ""), Failure::ca_unreachable},
           Row{Error(Errc::http_status, "").with_http_status(503), Failure::ca_unreachable},
           Row{Error(Errc::http_status, "").with_http_status(404), Failure::ca_unreachable},
           Row{Error(Errc::http_status, "").with_http_status(429), Failure::rate_limited},
           Row{Error(Errc::deadline, ""), Failure::ca_unreachable},
           Row{Error(Errc::deadline, "").with_problems({problem("connection")}), Failure::validation},
           Row{Error(Errc::io_failed, ""), Failure::local},
           Row{Error(Errc::solver_failed, ""), Failure::local},
           Row{Error(Errc::fenced, ""), Failure::local},
           Row{Error(Errc::not_offered, ""), Failure::ca_refused},
           Row{Error(problem("badNonce"), ""), Failure::ca_unreachable},
           Row{Error(problem("serverInternal"), ""), Failure::ca_unreachable},
           Row{Error(problem("rateLimited"), ""), Failure::rate_limited},
           Row{Error(problem("rejectedIdentifier"), ""), Failure::ca_refused},
           Row{Error(problem("unauthorized"), ""), Failure::ca_refused},
           Row{Error(problem("newType", 503), ""), Failure::ca_unreachable},
           Row{Error(problem("newType", 429), ""), Failure::rate_limited},
           Row{Error(problem("newType", 403), ""), Failure::ca_refused},
           Row{Error(problem("about:blank", 400), ""), Failure::ca_refused},
           Row{order, Failure::validation},
           Row{order.with_problems({problem("unauthorized"), problem("dns")}), Failure::validation},
           Row{order.with_problems({problem("dns"), problem("caa")}), Failure::ca_refused},
           Row{order.with_problems({problem("caa"), problem("rateLimited")}), Failure::rate_limited},
           Row{order.with_problems({problem("serverInternal")}), Failure::ca_unreachable},
           Row{Error(Errc::authorization_invalid, "").with_problems({problem("tls")}), Failure::validation},
       }) {
    CAPTURE(row.error.what());
    CHECK(failure_of(row.error) == row.failure);
  }
  Problem compound = problem("compound");
  compound.subproblems = {problem("dns"), problem("connection")};
  CHECK(failure_of(Error(compound, "")) == Failure::validation);
  CHECK(failure_of(order.with_problems({compound})) == Failure::validation);
  compound.subproblems.push_back(problem("caa"));
  CHECK(failure_of(Error(compound, "")) == Failure::ca_refused);
  Problem deep = compound;
  for (int i = 0; i < 100; ++i) {
    Problem outer = problem("compound");
    outer.subproblems.push_back(deep);
    deep = outer;
  }
  CHECK(failure_of(Error(deep, "")) == Failure::ca_refused);

  for (const Failure failure : {Failure::none, Failure::validation, Failure::ca_unreachable, Failure::ca_refused,
                                Failure::rate_limited, Failure::local})
    CHECK(failure_from(to_string(failure)) == failure);
  CHECK(to_string(static_cast<Failure>(77)) == "unknown");
}
