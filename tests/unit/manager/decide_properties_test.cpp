// What holds for every decision: properties over random situations. The seed of a failure is shown.
#include <array>

#include <doctest/doctest.h>

#include "unit/manager/random_facts.hpp"

using namespace culmen;
using namespace culmen::planner;
using Kind = Action::Kind;

namespace {

using Healths = std::map<std::string, CaHealth>;
const std::array<std::string, 3> all_cas = {"https://a.test/dir", "https://b.test/dir", "https://c.test/dir"};

/// A situation, and what is known of the CAs, at one time.
struct World {
  Situation situation;
  Healths healths;
  Policy policy;
  Time now;

  Action decided() const { return decide(situation, healths, policy, now); }
  Action decided(Time at) const { return decide(situation, healths, policy, at); }
  /// A window that was received later than now, by a clock that was ahead.
  bool knows_a_later_window() const { return situation.live->renewal.window_since.value_or(now) > now; }
  std::optional<Duration> life() const {
    if (!situation.live) return std::nullopt;
    return lifetime(situation.live->not_before, situation.live->not_after);
  }
  Time not_after() const {
    return situation.live ? std::clamp(situation.live->not_after, Time(), Time(7'258'118'400s)) : now;
  }
};

/// How unusual a world may be.
enum class Oddness { plausible, any };

Time moment(Dice& dice, Time now, Duration width, Oddness oddness) {
  if (oddness == Oddness::any) return dice.time(now, width);
  return now - dice.below(width);
}

Attempts random_attempts(Dice& dice, Time now, Duration width, Oddness oddness) {
  Attempts attempts;
  attempts.last = dice.pick({Failure::none, Failure::validation, Failure::ca_unreachable, Failure::ca_refused,
                             Failure::rate_limited, Failure::local});
  if (attempts.last != Failure::none) attempts.in_a_row = dice.pick({1u, 2u, 5u, 20u});
  if (oddness == Oddness::any && dice.one_in(5)) attempts.in_a_row = dice.pick({0u, ~0u});
  attempts.last_at = moment(dice, now, width, oddness);
  if (dice.one_in(3)) attempts.not_before = *attempts.last_at;
  if (dice.one_in(3)) attempts.not_before = dice.time(now, 4 * width);
  if (oddness == Oddness::any) attempts.last_at = dice.maybe(*attempts.last_at);
  return attempts;
}

CaHealth random_health(Dice& dice, Time now, Oddness oddness) {
  CaHealth health;
  const unsigned failures = dice.pick({0u, 1u, 4u, 5u, 12u, 100u});
  for (unsigned i = 0; i < failures; ++i)
    health = updated_health(health, Failure::ca_unreachable, now - dice.below(Duration(40min)));
  if (oddness == Oddness::any && dice.one_in(5)) health.closed_until = dice.time(now, days(3));
  if (oddness == Oddness::any) health.probing = dice.one_in(3);
  return health;
}

World random_world(Dice& dice, Oddness oddness) {
  World world;
  Situation& situation = world.situation;
  CertificateFacts facts = random_facts(dice);
  const auto is_odd = [&] {
    const Duration life = lifetime(facts.not_before, facts.not_after);
    return facts.not_after > issued + days(100) || facts.not_before < issued - days(1) || (life > 0s && life < 1min);
  };
  while (oddness == Oddness::plausible && is_odd()) facts = random_facts(dice);
  const Duration around = std::max(lifetime(facts.not_before, facts.not_after), Duration(1h));
  world.now = issued - 1h + dice.below(2 * std::min<Duration>(around, days(10'000)));
  if (!dice.one_in(8)) situation.live = facts;
  situation.outdated = dice.one_in(8);
  situation.emergency = dice.one_in(8);
  situation.offers_renewal_info = dice.one_in(2);
  if (dice.one_in(6)) situation.renew_before = dice.wait();
  const auto count = oddness == Oddness::any ? dice.below(4) : 1 + dice.below(3);
  for (std::int64_t i = 0; i < count; ++i) situation.cas.push_back(all_cas[static_cast<std::size_t>(i)]);
  situation.issued_by = all_cas[static_cast<std::size_t>(dice.below(3))];
  for (const std::string& ca : all_cas) {
    if (dice.one_in(2)) situation.attempts[ca] = random_attempts(dice, world.now, around / 20, oddness);
    if (dice.one_in(4)) situation.allowed_at[ca] = dice.time(world.now, days(3));
    if (oddness == Oddness::plausible) situation.allowed_at[ca] = world.now + dice.below(days(3)) - dice.below(days(9));
    if (dice.one_in(3)) world.healths[ca] = random_health(dice, world.now, oddness);
  }
  situation.dice = oddness == Oddness::any ? dice.fraction() : 0.01 * static_cast<double>(dice.below(100));
  if (oddness == Oddness::any) situation.in_flight = dice.one_in(10);
  if (dice.one_in(10)) situation.held_until = dice.time(world.now, 4h);
  if (oddness == Oddness::any && dice.one_in(4)) {
    Policy& policy = world.policy;
    policy.spread = dice.fraction();
    policy.fall_back_at = dice.fraction();
    policy.validation_back_off = dice.wait();
    policy.ca_back_off = dice.wait();
    policy.local_back_off = dice.wait();
    policy.refused_back_off = dice.wait();
    policy.longest_back_off = dice.wait();
  }
  return world;
}

/// Calls `check(dice, world)` with many worlds.
template <class Check>
void for_random_worlds(std::uint64_t worlds, Oddness oddness, Check check) {
  for (std::uint64_t seed = 1; seed <= worlds; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    const World world = random_world(dice, oddness);
    check(dice, world);
  }
}

bool same(const Action& a, const Action& b) {
  return a.kind == b.kind && a.ca == b.ca && a.replaces == b.replaces && a.emergency == b.emergency &&
         a.probe == b.probe && a.wake_at == b.wake_at && a.late == b.late && a.reason == b.reason;
}

/// Whether some fact is from a clock that was ahead, so that it is not believed yet.
bool knows_the_future(const World& world) {
  const auto later = [&](const std::optional<Time>& time) { return time && *time > world.now; };
  for (const auto& each : world.situation.attempts) {
    if (later(each.second.last_at) || (!each.second.last_at && later(each.second.not_before))) return true;
  }
  for (const auto& each : world.healths) {
    if (later(each.second.closed_until) || each.second.probing) return true;
  }
  if (world.situation.live && world.knows_a_later_window()) return true;
  return later(world.situation.held_until);
}

/// What a manager does with an action other than an order; the CA has no renewal information to give.
void carry_out(World& world, const Action& action) {
  if (action.kind == Kind::look_in_storage) world.situation.held_until.reset();
  if (action.kind != Kind::ask_renewal_info) return;
  RenewalState& state = world.situation.live->renewal;
  state = updated_renewal_state(state, std::nullopt, world.now, 0.5, world.life());
  world.healths[action.ca] = updated_health(world.healths[action.ca], Failure::none, world.now);
}

/// Sleeps until decide() says that something is to be ordered; moves world.now there.
Action next_order(World& world) {
  constexpr int most_steps = 5'000;
  for (int step = 0; step < most_steps; ++step) {
    const Action action = world.decided();
    if (action.kind == Kind::issue) return action;
    carry_out(world, action);
    if (action.kind == Kind::nothing) world.now = action.wake_at;
  }
  FAIL("no order after 5,000 steps");
  return Action();
}

}  // namespace

TEST_CASE("decide: properties of every decision over random situations") {
  std::map<Kind, int> kinds;
  int late = 0, emergencies = 0, probes = 0, replaces = 0;
  for_random_worlds(40'000, Oddness::any, [&](Dice& dice, const World& world) {
    const Action action = world.decided();
    const Situation& situation = world.situation;
    CHECK(same(action, world.decided()));
    CHECK(action.wake_at > world.now);
    if (action.not_before) CHECK((action.due && action.kind != Kind::issue && *action.not_before > world.now));
    CHECK(action.wake_at <= world.now + 24h);
    CHECK_FALSE(action.reason.empty());
    if (situation.in_flight) CHECK(action.kind == Kind::nothing);
    if (situation.emergency) CHECK((action.emergency || !situation.live));
    if (situation.live && world.now >= situation.live->not_after) CHECK(action.late);
    if (!situation.live) CHECK_FALSE(action.late);
    const bool at_a_ca = action.kind == Kind::issue || action.kind == Kind::ask_renewal_info;
    CHECK(action.ca.empty() != at_a_ca);
    if (action.kind == Kind::issue) {
      CHECK(std::find(situation.cas.begin(), situation.cas.end(), action.ca) != situation.cas.end());
      const auto allowed = situation.allowed_at.find(action.ca);
      if (allowed != situation.allowed_at.end()) CHECK(std::min(allowed->second, world.now) == allowed->second);
    }
    if (action.kind == Kind::ask_renewal_info) {
      CHECK(situation.offers_renewal_info);
      CHECK(world.now < situation.live->not_after);
    }
    if (action.probe) {
      CHECK(action.kind == Kind::issue);
      CHECK_FALSE(world.healths.at(action.ca).probing);
    }
    if (action.replaces) CHECK((action.ca == situation.issued_by && situation.live.has_value()));

    // As time goes by, and nothing else changes: what was to be ordered is still.
    if (action.kind == Kind::issue && !knows_the_future(world))
      CHECK(world.decided(world.now + dice.below(days(30))).kind == Kind::issue);
    // Without failed attempts, whose pauses become shorter towards the end, nothing is missed by sleeping.
    const bool sleeps = action.kind == Kind::nothing && !situation.in_flight;
    if (sleeps && situation.attempts.empty() && !(situation.live && world.knows_a_later_window()))
      CHECK(world.decided(world.now + dice.below(action.wake_at - world.now)).kind == Kind::nothing);

    ++kinds[action.kind];
    late += action.late;
    emergencies += action.emergency;
    probes += action.probe;
    replaces += action.replaces;
  });
  // The situations were varied enough to mean something.
  for (const Kind kind : {Kind::nothing, Kind::ask_renewal_info, Kind::issue, Kind::look_in_storage})
    CHECK(kinds[kind] > 500);
  for (const int count : {late, emergencies, probes, replaces}) CHECK(count > 500);
}

TEST_CASE("decide: no time, number or text overflows") {
  for_random_worlds(20'000, Oddness::any, [&](Dice& dice, World world) {
    world.now = dice.pick({Time::min(), Time::max(), Time(), Time::max() - 24h, Time(7'258'118'400s)});
    (void)world.decided();
    (void)updated_health(world.healths[all_cas[0]], Failure::ca_unreachable, world.now);
    (void)updated_attempts(world.situation.attempts[all_cas[0]], Failure::local, world.now, dice.wait());
  });
}

TEST_CASE("decide: an emergency is never ordered later than without it") {
  int sooner = 0;
  for_random_worlds(3'000, Oddness::plausible, [&](Dice&, const World& world) {
    World usual = world, urgent = world;
    usual.situation.emergency = false;
    urgent.situation.emergency = true;
    next_order(usual);
    const Action order = next_order(urgent);
    CHECK(urgent.now <= usual.now);
    CHECK(order.emergency == urgent.situation.live.has_value());
    sooner += urgent.now < usual.now;
  });
  CHECK(sooner > 500);
}

TEST_CASE("decide: sleeping until wake_at reaches an order in time, whatever the situation") {
  for_random_worlds(3'000, Oddness::plausible, [](Dice&, const World& world) {
    World later = world;
    const Action order = next_order(later);
    // The last moment at which it becomes due; then a Retry-After of a week, and a rest of a day.
    const Time due_at_last = std::max(world.now, world.not_after());
    CHECK(later.now <= due_at_last + days(8) + 5h);
    // With no CA in the way, it is not even late.
    World open = world;
    open.healths.clear();
    open.situation.attempts.clear();
    open.situation.allowed_at.clear();
    open.situation.held_until.reset();
    const bool was_late = open.decided().late;
    const Action sooner = next_order(open);
    // (A window that was later than the lifetime's moment, and is not fresh any more, makes it late at once.)
    const bool by_lifetime = open.life() > Duration(0) && !open.situation.live->renewal.info;
    if (by_lifetime && !open.situation.renew_before) CHECK((was_late || !sooner.late));
    CHECK(sooner.ca == open.situation.cas.front());
    CHECK(open.now <= later.now);
    CHECK(open.now <= due_at_last);
    (void)order;
  });
}

TEST_CASE("decide: never more than one order in a back-off, and Retry-After is obeyed") {
  for_random_worlds(1'000, Oddness::plausible, [](Dice& dice, World world) {
    std::map<std::string, Time> obeyed_until;
    for (int order = 0; order < 12; ++order) {
      const Action action = next_order(world);
      Attempts& attempts = world.situation.attempts[action.ca];
      if (const auto until = obeyed_until.find(action.ca); until != obeyed_until.end()) {
        CHECK(world.now >= until->second);
        const std::optional<Duration> left = action.emergency ? Duration(0) : world.not_after() - world.now;
        const Duration pause =
            back_off(attempts, world.policy, world.situation.dice, world.life(), world.life() ? left : std::nullopt);
        CHECK(world.now >= *attempts.last_at + pause);
        CHECK(pause > 0s);
      }
      const Failure failure = dice.pick(
          {Failure::validation, Failure::ca_unreachable, Failure::ca_refused, Failure::rate_limited, Failure::local});
      const std::optional<std::chrono::seconds> retry_after =
          dice.one_in(3) ? std::optional<std::chrono::seconds>(dice.below(86'400)) : std::nullopt;
      attempts = updated_attempts(attempts, failure, world.now, retry_after);
      obeyed_until[action.ca] = world.now + retry_after.value_or(0s);
    }
  });
}

TEST_CASE("decide: a CA that issues what is due at once is not asked without end") {
  for_random_worlds(1'000, Oddness::plausible, [](Dice&, World world) {
    world.situation.emergency = world.situation.outdated = false;
    if (!world.situation.live) return;
    world.situation.allowed_at.clear();
    const Time start = world.now;
    const Duration life = *world.life();
    int orders = 0;
    for (; orders < 20; ++orders) {  // each certificate is as old as the first
      const Action action = next_order(world);
      world.situation.attempts[action.ca] =
          updated_attempts(world.situation.attempts[action.ca], Failure::none, world.now);
    }
    const Duration rest = life > 0s ? std::min<Duration>(1h, life / 20) : Duration(1h);
    CHECK(world.now - start >= 19 * rest);
  });
}
