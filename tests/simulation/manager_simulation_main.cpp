// culmen_manager_simulation: managers in virtual time. For each seed that finds something wrong: what, and the command
// that shows it again. The exit status is 1 then, and 2 for arguments that are not valid.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "simulation/manager_simulation.hpp"

using namespace culmen::simulation;

namespace {

constexpr std::string_view usage =
    "culmen_manager_simulation [OPTION VALUE]…\n"
    "  --seeds N        how many seeds to run (1)\n"
    "  --first-seed K   the first of them (1)\n"
    "  --world NAME     one of those below; without it, the seed chooses\n"
    "  --names N --days D --lifetime SECONDS --cas N --managers N --width N\n"
    "                   in place of what the seed chooses\n"
    "  --bug NAME       with a planted bug\n"
    "  --checks 0       do not watch the storage: for large runs\n"
    "  --quiet 1        only the last line\n"
    "worlds:";

std::string in_hexadecimal(std::uint64_t number) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

void print(const Outcome& outcome, double seconds) {
  const Options& options = outcome.options;
  std::printf("%s: seed %llu, %s, %zu names, %.4g days, lifetime %lld s, %zu CA(s), %zu manager(s): "
              "%zu orders, %zu issued, %zu failed, %zu extra, %zu questions, %zu expired, %zu crashes, %zu asks, %.2f s, hash %s\n",
              outcome.failure_count == 0 ? "good" : "BAD", static_cast<unsigned long long>(options.seed),
              options.world.c_str(), options.names, options.days, static_cast<long long>(options.lifetime), options.cas,
              options.managers, outcome.cas.orders, outcome.cas.issued, outcome.cas.failed, outcome.cas.extra_orders,
              outcome.cas.questions, outcome.expired, outcome.crashes, outcome.asks, seconds,
              in_hexadecimal(outcome.hash).c_str());
}

int run(int argc, char** argv) {
  Options options;
  std::uint64_t seeds = 1;
  bool quiet = false;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if (i + 1 == argc) throw std::invalid_argument(std::string(option) + " needs a value");
    const std::string value = argv[i + 1];
    const auto number = [&] { return std::stoull(value); };
    if (option == "--seeds") seeds = number();
    else if (option == "--first-seed") options.seed = number();
    else if (option == "--world") options.world = value;
    else if (option == "--names") options.names = number();
    else if (option == "--days") options.days = std::stod(value);
    else if (option == "--lifetime") options.lifetime = static_cast<std::int64_t>(number());
    else if (option == "--cas") options.cas = number();
    else if (option == "--managers") options.managers = number();
    else if (option == "--width") options.width = number();
    else if (option == "--checks") options.checks = number() != 0;
    else if (option == "--quiet") quiet = number() != 0;
    else if (option == "--bug") {
      bool known = false;
      for (const auto& [name, bug] : bug_names) {
        if (name != value) continue;
        options.bug = bug;
        known = true;
      }
      if (!known) throw std::invalid_argument("there is no bug \"" + value + "\"");
    } else throw std::invalid_argument("there is no option " + std::string(option));
  }
  std::size_t bad = 0;
  std::map<std::string, std::size_t> bad_by_world;
  const auto begin = std::chrono::steady_clock::now();
  const auto since = [](std::chrono::steady_clock::time_point time) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
  };
  for (std::uint64_t i = 0; i < seeds; ++i, ++options.seed) {
    const auto before = std::chrono::steady_clock::now();
    const Outcome outcome = simulate(options);
    if (!quiet || outcome.failure_count > 0) print(outcome, since(before));
    if (outcome.failure_count == 0) continue;
    ++bad;
    ++bad_by_world[outcome.options.world];
    for (const std::string& failure : outcome.failures) std::printf("  %s\n", failure.c_str());
    if (outcome.failure_count > outcome.failures.size())
      std::printf("  and %zu more\n", outcome.failure_count - outcome.failures.size());
    std::printf("  again: %s\n", command_of(outcome.options).c_str());
    std::fflush(stdout);
  }
  std::printf("%llu seeds, %zu of them bad, %.1f s\n", static_cast<unsigned long long>(seeds), bad, since(begin));
  for (const auto& [world, times] : bad_by_world) std::printf("  bad in %s: %zu\n", world.c_str(), times);
  return bad == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "culmen_manager_simulation: %s\n%s", error.what(), usage.data());
  for (const std::string& world : worlds()) std::fprintf(stderr, " %s", world.c_str());
  std::fprintf(stderr, "\n");
  return 2;
}
