#include "simulation/monitor.hpp"

#include <charconv>
#include <cstdio>
#include <system_error>

namespace culmen::simulation {

namespace {
constexpr std::size_t most_failures = 10;
constexpr std::size_t events_kept = 24;
constexpr std::size_t common_events_kept = 8;
constexpr std::size_t names_a_domain = 10;
}  // namespace

bool contains(const Intervals& intervals, Time time) {
  return std::ranges::any_of(intervals, [&](const Interval& each) { return each.first <= time && time < each.second; });
}

Intervals merged(Intervals intervals) {
  std::ranges::sort(intervals);
  Intervals result;
  for (const Interval& each : intervals) {
    if (each.second <= each.first) continue;
    if (!result.empty() && each.first <= result.back().second) {
      result.back().second = std::max(result.back().second, each.second);
    } else {
      result.push_back(each);
    }
  }
  return result;
}

std::string in_days(Duration elapsed) {
  using std::chrono::duration_cast;
  const auto milliseconds = duration_cast<std::chrono::milliseconds>(elapsed).count();
  const auto seconds = milliseconds / 1000;
  char text[64];
  std::snprintf(text, sizeof text, "day %lld %02lld:%02lld:%02lld.%03lld", static_cast<long long>(seconds / 86400),
                static_cast<long long>(seconds / 3600 % 24), static_cast<long long>(seconds / 60 % 60),
                static_cast<long long>(seconds % 60), static_cast<long long>(milliseconds % 1000));
  return text;
}

std::string name_of(std::size_t number) {
  return "h" + std::to_string(number) + ".d" + std::to_string(number / names_a_domain) + ".example";
}

std::optional<std::size_t> number_of(std::string_view name) {
  if (!name.starts_with('h')) return std::nullopt;
  std::size_t number = 0;
  const auto [rest, failed] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  if (failed != std::errc() || rest == name.data() + name.size() || *rest != '.') return std::nullopt;
  return number;
}

void Monitor::note(std::size_t name, std::uint64_t code, std::string_view text) {
  for (const std::uint64_t each :
       {static_cast<std::uint64_t>(driver_.elapsed().count()), static_cast<std::uint64_t>(name), code}) {
    hash_ = (hash_ ^ each) * 1099511628211ULL;
  }
  if (!kept_) return;
  std::deque<std::string>& history = name == nobody ? common_ : histories_[name];
  history.push_back(in_days(driver_.elapsed()) + "  " + std::string(text));
  if (history.size() > (name == nobody ? common_events_kept : events_kept)) history.pop_front();
}

void Monitor::fail(std::size_t name, std::string text) {
  ++failure_count_;
  if (failures_.size() >= most_failures) return;
  std::string failure = (name == nobody ? std::string("all certificates") : name_of(name)) + ", " +
                        in_days(driver_.elapsed()) + ": " + text;
  if (kept_) {
    std::vector<std::string> lines(common_.begin(), common_.end());
    if (name != nobody) lines.insert(lines.end(), histories_[name].begin(), histories_[name].end());
    std::ranges::stable_sort(lines, [](const std::string& one, const std::string& other) {
      // "day 2 …" before "day 10 …"
      const std::size_t one_day = one.find(' ', 4), other_day = other.find(' ', 4);
      return one_day != other_day ? one_day < other_day
                                  : one.substr(0, one.find("  ")) < other.substr(0, other.find("  "));
    });
    for (const std::string& line : lines) failure += "\n    " + line;
  }
  failures_.push_back(std::move(failure));
}

void Monitor::disturb(std::size_t name, std::string_view what) {
  (name == nobody ? all_disturbances_ : disturbances_[name]).push_back(driver_.now());
  note(name, 900, what);
}

void Monitor::step_clock(std::string_view what) {
  clock_steps_.push_back(driver_.now());
  disturb(nobody, what);
}

bool Monitor::was_disturbed(std::size_t name, Time since, Time until) const {
  const auto happened = [&](const std::vector<Time>& times) {
    const auto first = std::ranges::lower_bound(times, since);
    return first != times.end() && *first <= until;
  };
  return happened(all_disturbances_) || (name != nobody && happened(disturbances_[name]));
}

std::size_t Monitor::disturbances(std::size_t name) const {
  return all_disturbances_.size() + (name == nobody ? 0 : disturbances_[name].size());
}

}  // namespace culmen::simulation
