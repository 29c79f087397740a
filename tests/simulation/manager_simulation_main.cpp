// culmen_manager_simulation: managers in virtual time. For each seed that finds something wrong: what, and the command
// that shows it again. The exit status is 1 then, and 2 for arguments that are not valid.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
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
    "  --table ROWS     instead: a Markdown table of large runs; all of them, or those whose line in the table "
    "contains ROWS\n"
    "worlds:";

std::string in_hexadecimal(std::uint64_t number) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

void print_line(const Outcome& outcome, double seconds) {
  const Options& options = outcome.options;
  std::printf(
      "%s: seed %llu, %s, %zu names, %.4g days, lifetime %lld s, %zu CA(s), %zu manager(s): "
      "%zu orders, %zu issued, %zu failed, %zu extra, %zu questions, %zu expired, %zu crashes, %zu asks, %.2f s, hash "
      "%s\n",
      outcome.failure_count == 0 ? "good" : "BAD", static_cast<unsigned long long>(options.seed), options.world.c_str(),
      options.names, options.days, static_cast<long long>(options.lifetime), options.cas, options.managers,
      outcome.cas.orders, outcome.cas.issued, outcome.cas.failed, outcome.cas.extra_orders, outcome.cas.questions,
      outcome.expired, outcome.crashes, outcome.asks, seconds, in_hexadecimal(outcome.hash).c_str());
}

struct Row {
  const char* text;
  std::size_t names;
  double days;
  std::int64_t lifetime;
  std::size_t cas, managers, width;
};

constexpr std::int64_t day = 86'400;
constexpr Row rows[] = {
    {"1,000 x 365 d, 90 d, one CA", 1'000, 365, 90 * day, 1, 1, 16},
    {"1,000 x 365 d, 90 d, two CAs", 1'000, 365, 90 * day, 2, 1, 16},
    {"1,000 x 365 d, 47 d, one CA", 1'000, 365, 47 * day, 1, 1, 16},
    {"1,000 x 365 d, 47 d, two CAs", 1'000, 365, 47 * day, 2, 1, 16},
    {"1,000 x 365 d, 160 h, one CA", 1'000, 365, 160 * 3'600, 1, 1, 16},
    {"1,000 x 365 d, 160 h, two CAs", 1'000, 365, 160 * 3'600, 2, 1, 16},
    {"1,000 x 365 d, 160 h, two CAs, two managers", 1'000, 365, 160 * 3'600, 2, 2, 16},
    {"1,000 x 30 d, 1 h, one CA", 1'000, 30, 3'600, 1, 1, 64},
    {"1,000 x 30 d, 1 h, two CAs", 1'000, 30, 3'600, 2, 1, 64},
    {"10,000 x 90 d, 90 d, two CAs", 10'000, 90, 90 * day, 2, 1, 64},
    {"100,000 x 30 d, 90 d, two CAs", 100'000, 30, 90 * day, 2, 1, 64},
    // A tenth of the names, for a look that takes minutes.
    {"100 x 365 d, 90 d, one CA", 100, 365, 90 * day, 1, 1, 8},
    {"100 x 365 d, 90 d, two CAs", 100, 365, 90 * day, 2, 1, 8},
    {"100 x 365 d, 47 d, two CAs", 100, 365, 47 * day, 2, 1, 8},
    {"100 x 365 d, 160 h, one CA", 100, 365, 160 * 3'600, 1, 1, 8},
    {"100 x 365 d, 160 h, two CAs", 100, 365, 160 * 3'600, 2, 1, 8},
    {"100 x 365 d, 160 h, two CAs, two managers", 100, 365, 160 * 3'600, 2, 2, 8},
    {"100 x 30 d, 1 h, one CA", 100, 30, 3'600, 1, 1, 16},
    {"100 x 30 d, 1 h, two CAs", 100, 30, 3'600, 2, 1, 16},
};

int print_table(const std::string& which, std::uint64_t seed) {
  std::printf(
      "| names x time, lifetime, CAs | real s | CPU s | asks | orders | failed | extra orders | most orders an hour | "
      "expired | limits crossed | failures |\n"
      "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
  bool good = true;
  for (const Row& row : rows) {
    if (std::string_view(row.text).find(which) == std::string_view::npos && which != "all") continue;
    Options options;
    options.seed = seed;
    options.world = "fleet";
    options.names = row.names;
    options.days = row.days;
    options.lifetime = row.lifetime;
    options.cas = row.cas;
    options.managers = row.managers;
    options.width = row.width;
    options.checks = false;
    const auto before = std::chrono::steady_clock::now();
    const std::clock_t cpu = std::clock();
    const Outcome outcome = simulate(options);
    const double real = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    std::printf("| %s | %.1f | %.1f | %zu | %zu | %zu | %zu | %zu | %zu | %zu | %zu |\n", row.text, real,
                static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC, outcome.asks, outcome.cas.orders,
                outcome.cas.failed, outcome.cas.extra_orders, outcome.cas.peak_an_hour, outcome.expired,
                outcome.cas.crossings, outcome.failure_count);
    for (const std::string& failure : outcome.failures) std::fprintf(stderr, "  %s\n", failure.c_str());
    std::fflush(stdout);
    good = good && outcome.failure_count == 0;
  }
  return good ? 0 : 1;
}

int run(int argc, char** argv) {
  Options options;
  std::uint64_t seeds = 1;
  std::string table;
  bool quiet = false;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if (i + 1 == argc) throw std::invalid_argument(std::string(option) + " needs a value");
    const std::string value = argv[i + 1];
    const auto number = [&] { return std::stoull(value); };
    if (option == "--seeds")
      seeds = number();
    else if (option == "--first-seed")
      options.seed = number();
    else if (option == "--world")
      options.world = value;
    else if (option == "--names")
      options.names = number();
    else if (option == "--days")
      options.days = std::stod(value);
    else if (option == "--lifetime")
      options.lifetime = static_cast<std::int64_t>(number());
    else if (option == "--cas")
      options.cas = number();
    else if (option == "--managers")
      options.managers = number();
    else if (option == "--width")
      options.width = number();
    else if (option == "--checks")
      options.checks = number() != 0;
    else if (option == "--quiet")
      quiet = number() != 0;
    else if (option == "--table")
      table = value;
    else if (option == "--bug") {
      bool known = false;
      for (const auto& [name, bug] : bug_names) {
        if (name != value) continue;
        options.bug = bug;
        known = true;
      }
      if (!known) throw std::invalid_argument("there is no bug \"" + value + "\"");
    } else
      throw std::invalid_argument("there is no option " + std::string(option));
  }
  if (!table.empty()) return print_table(table, options.seed);
  std::size_t bad = 0;
  std::map<std::string, std::size_t> bad_by_world;
  const auto begin = std::chrono::steady_clock::now();
  const auto since = [](std::chrono::steady_clock::time_point time) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
  };
  for (std::uint64_t i = 0; i < seeds; ++i, ++options.seed) {
    const auto before = std::chrono::steady_clock::now();
    const Outcome outcome = simulate(options);
    if (!quiet || outcome.failure_count > 0) print_line(outcome, since(before));
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

int main(int argc, char** argv) try { return run(argc, argv); } catch (const std::exception& error) {
  std::fprintf(stderr, "culmen_manager_simulation: %s\n%s", error.what(), usage.data());
  for (const std::string& world : worlds()) std::fprintf(stderr, " %s", world.c_str());
  std::fprintf(stderr, "\n");
  return 2;
}
