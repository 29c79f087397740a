#include "simulation/worlds.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "culmen/directory.hpp"
#include "culmen/error.hpp"

namespace culmen::simulation {

namespace {
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

RateLimit limit(const std::string& name, RateLimit::Scope scope, RateLimit::Counts counts, double capacity,
                seconds window) {
  RateLimit limit;
  limit.name = name;
  limit.scope = scope;
  limit.counts = counts;
  limit.capacity = capacity;
  limit.window = window;
  return limit;
}

/// Let's Encrypt's, or those of a private CA that has certificates of hours.
std::vector<RateLimit> usual_limits(const Script& script) {
  if (script.options.lifetime > short_lived) return known_rate_limits(resolve_directory_url("letsencrypt"));
  const double renewals_an_hour =
      2.2 * 3600 / static_cast<double>(script.options.lifetime) * static_cast<double>(script.options.names);
  return {
      limit("orders", RateLimit::Scope::account, RateLimit::Counts::orders, std::ceil(4 * renewals_an_hour + 20),
            hours(1)),
      limit("failures", RateLimit::Scope::identifier, RateLimit::Counts::failed_validations, 40, hours(1)),
  };
}

/// A time in the middle of the run.
Time some_time(const Script& script, Dice& dice) {
  const auto whole = std::chrono::duration_cast<seconds>(script.end() - start);
  return start + dice.between(whole / 20, whole * 17 / 20);
}

void add_outages(Script& script, Dice& dice, std::size_t most) {
  const std::size_t count = 1 + dice.number(most);
  for (std::size_t i = 0; i < count; ++i) {
    const Time begin = some_time(script, dice);
    const seconds whole = std::chrono::duration_cast<seconds>(script.end() - start);
    const seconds duration = std::min(dice.between(script.lifetime() / 50, script.lifetime() * 2 / 3), whole / 3);
    CaScript& ca = script.cas[i % script.cas.size()];
    (dice.chance(0.6) ? ca.down : ca.failing).emplace_back(begin, begin + duration);
  }
}

void add_refusals(Script& script, Dice& dice) {
  for (int i = 0; i < 3; ++i) {
    Refusal refusal;
    const Time begin = some_time(script, dice);
    refusal.when = {begin, begin + dice.between(minutes(5), script.lifetime() / 8 + minutes(10))};
    switch (dice.number(3)) {
      case 0: refusal.retry_after = seconds(1); break;
      case 1: refusal.retry_after = hours(24); break;
      default: break;
    }
    script.cas[0].refusals.push_back(refusal);
  }
}

void add_clock_steps(Script& script, Dice& dice) {
  for (int i = 0; i < 2; ++i) {
    Script::ClockStep step;
    step.at = some_time(script, dice);
    step.manager = dice.number(script.options.managers);
    step.error = dice.chance(0.5) ? Duration(-hours(1)) : Duration(hours(24));
    script.clock_steps.push_back(step);
    step.at += dice.between(hours(1), hours(48));
    step.error = Duration(0);
    script.clock_steps.push_back(step);
  }
}

void add_pauses(Script& script, Dice& dice, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Script::Pause pause;
    pause.at = some_time(script, dice);
    pause.manager = dice.number(script.options.managers);
    pause.duration = dice.between(seconds(20), minutes(6));
    script.pauses.push_back(pause);
  }
}

void add_crashes(Script& script, Dice& dice) {
  script.crash_at_issuing = 0.1 + 0.3 * dice.share();
  script.most_asks_alive = 3'000 + dice.number(30'000);
}

/// Renewals fit; the first orders, and what is ordered again, do not.
void set_tight_limits(Script& script, Dice& dice) {
  script.starts_empty = dice.chance(0.5);
  const double names = static_cast<double>(script.options.names);
  for (CaScript& ca : script.cas) {
    ca.limits.clear();
    ca.limits.push_back(limit("orders", RateLimit::Scope::account, RateLimit::Counts::orders, std::ceil(names / 3),
                              script.lifetime() / 20));
    ca.limits.push_back(
        limit("set", RateLimit::Scope::identifier_set, RateLimit::Counts::certificates, 4, script.lifetime()));
    ca.limits.push_back(limit("failures", RateLimit::Scope::identifier, RateLimit::Counts::failed_validations, 5,
                              script.lifetime() / 4));
    ca.invalid_share = 0.1;
  }
}

struct Size {
  std::int64_t lifetime;
  double days;
  std::size_t names;
};
constexpr Size hourly{3'600, 0.25, 4}, daily{day, 2, 4}, weekly{160 * 3'600, 6, 5}, middling{47 * day, 6, 8},
    classic{90 * day, 7, 10};

void choose_size(Script& script, Dice& dice, std::initializer_list<Size> sizes) {
  const Size size = dice.one_of(sizes);
  Options& options = script.options;
  if (options.lifetime == 0) options.lifetime = size.lifetime;
  if (options.days == 0)
    options.days =
        size.days * std::max(0.3, static_cast<double>(options.lifetime) / static_cast<double>(size.lifetime));
  options.days = std::round(options.days * 1e4) / 1e4;  // as command_of() writes it
  if (options.names == 0) options.names = size.names;
}

struct World {
  std::string name;
  /// Chooses the size, and how many CAs and managers there are.
  void (*choose)(Script&, Dice&);
  void (*fill)(Script&, Dice&);
};

void any_size(Script& script, Dice& dice) {
  choose_size(script, dice, {hourly, daily, weekly, weekly, middling, classic});
}
void not_short(Script& script, Dice& dice) { choose_size(script, dice, {weekly, weekly, middling, classic}); }
void short_or_middling(Script& script, Dice& dice) { choose_size(script, dice, {hourly, daily, weekly, middling}); }
void two_managers(Script& script, Dice& dice) {
  short_or_middling(script, dice);
  if (script.options.managers == 0) script.options.managers = 2;
  script.storage_delay = dice.one_of({milliseconds(20), milliseconds(200), milliseconds(2'000)});
}

const std::vector<World>& all_worlds() {
  static const std::vector<World> worlds = {
      {"calm", any_size, [](Script& script, Dice&) { script.starts_empty = true; }},
      {"outage", any_size, [](Script& script, Dice& dice) { add_outages(script, dice, 3); }},
      {"slow",
       [](Script& script, Dice& dice) {
         choose_size(script, dice, {daily, weekly, middling});
       },
       [](Script& script, Dice&) {
         for (CaScript& ca : script.cas) {
           ca.fastest = seconds(4);
           ca.slowest = seconds(120);
         }
       }},
      {"refusals", short_or_middling, [](Script& script, Dice& dice) { add_refusals(script, dice); }},
      {"limits", short_or_middling, [](Script& script, Dice& dice) { set_tight_limits(script, dice); }},
      {"incident", any_size,
       [](Script& script, Dice& dice) {
         for (CaScript& ca : script.cas) ca.incident = some_time(script, dice);
         script.emergency_per_hour = dice.one_of({1U, 2U, 300U});
       }},
      {"clock", not_short, [](Script& script, Dice& dice) { add_clock_steps(script, dice); }},
      {"storage", any_size,
       [](Script& script, Dice& dice) {
         for (int i = 0; i < 2; ++i) {
           const Time begin = some_time(script, dice);
           script.storage_down.emplace_back(begin, begin + hours(2));
         }
         script.storage_delay = milliseconds(50);
       }},
      {"restart", short_or_middling,
       [](Script& script, Dice& dice) {
         add_crashes(script, dice);
         script.storage_delay = dice.one_of({milliseconds(0), milliseconds(50)});
       }},
      {"two", two_managers, [](Script&, Dice&) {}},
      {"lost", short_or_middling,
       [](Script& script, Dice& dice) {
         script.storage_delay = milliseconds(30);
         script.storage_faults = 0.01 + 0.05 * dice.share();
       }},
      {"two-lost", two_managers,
       [](Script& script, Dice& dice) { script.storage_faults = 0.005 + 0.03 * dice.share(); }},
      {"pause", two_managers,
       [](Script& script, Dice& dice) {
         add_pauses(script, dice, 10);
         script.pause_at_issuing = 0.5;
       }},
      {"mixed", two_managers,
       [](Script& script, Dice& dice) {
         add_outages(script, dice, 2);
         add_refusals(script, dice);
         add_pauses(script, dice, 10);
         add_crashes(script, dice);
         script.storage_faults = 0.01;
         // No steps of the clock: two managers whose clocks are a day apart cannot agree on what is due (two-clocks).
         for (CaScript& ca : script.cas) ca.incident = some_time(script, dice);
       }},
      {"two-limits",
       [](Script& script, Dice& dice) {
         choose_size(script, dice, {daily, weekly, middling});  // a crossing must be more than what is tolerated
         two_managers(script, dice);
       },
       [](Script& script, Dice& dice) { set_tight_limits(script, dice); }},
      {"engine",
       [](Script& script, Dice& dice) {
         choose_size(script, dice, {Size{3'600, 0.2, 2}});
       },
       [](Script& script, Dice& dice) {
         script.real_engine = true;
         script.starts_empty = true;
         if (dice.chance(0.5)) add_crashes(script, dice);
         script.storage_delay = milliseconds(20);
         script.storage_faults = dice.chance(0.5) ? 0.01 : 0;
       }},
      {"two-clocks", two_managers,
       [](Script& script, Dice& dice) {
         add_crashes(script, dice);
         for (int i = 0; i < 5; ++i) add_clock_steps(script, dice);
       }},
      // For the table: only what is asked for, and outages.
      {"fleet", any_size,
       [](Script& script, Dice&) {
         for (std::size_t i = 0; i < script.cas.size(); ++i) {
           // 1 % of the run, but for certificates of a few hours no longer than a quarter of their lifetime.
           const seconds whole = std::chrono::duration_cast<seconds>(script.end() - start);
           const seconds duration = std::min(whole / 100, script.lifetime() / 4);
           for (int k = 1; k <= 2; ++k) {
             const Time begin = start + whole * (2 * k + static_cast<int>(i)) / 6;
             script.cas[i].down.emplace_back(begin, begin + duration);
           }
         }
       }},
  };
  return worlds;
}

constexpr std::size_t not_by_seed = 2;  // the last ones

}  // namespace

Script script_of(const Options& options) {
  const std::vector<World>& worlds = all_worlds();
  Script script(options);
  std::size_t index = options.seed % (worlds.size() - not_by_seed);
  if (options.world.empty()) {
    script.options.world = worlds[index].name;
  } else {
    const auto found = std::ranges::find(worlds, options.world, &World::name);
    if (found == worlds.end()) {
      throw Error(Errc::invalid_argument, "simulating managers", "there is no world \"" + options.world + "\"");
    }
    index = static_cast<std::size_t>(found - worlds.begin());
  }
  Dice dice(options.seed * 1'000'003 + index);
  const World& world = worlds[index];
  world.choose(script, dice);
  Options& chosen = script.options;
  if (chosen.managers == 0) chosen.managers = 1;
  const std::size_t some_cas = 1 + dice.number(2);  // also if it is not needed: the rest stays the same
  if (chosen.cas == 0) chosen.cas = some_cas;
  if (chosen.width == 0) chosen.width = 8;
  for (std::size_t i = 0; i < chosen.cas; ++i) {
    CaScript ca;
    ca.lifetime = script.lifetime();
    ca.renewal_retry_after = std::clamp<seconds>(script.lifetime() / 20, minutes(1), hours(6));
    ca.limits = usual_limits(script);
    ca.invalid_share = 0.1 * dice.share() * (dice.chance(0.7) ? 1 : 0);
    ca.offers_renewal_info = i == 0 || dice.chance(0.5);
    script.cas.push_back(std::move(ca));
  }
  world.fill(script, dice);
  return script;
}

const std::vector<std::string>& worlds() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const World& world : all_worlds()) all.push_back(world.name);
    return all;
  }();
  return names;
}

}  // namespace culmen::simulation
