// The planner with many certificates: nanoseconds a decision, bytes a certificate, CPU time for an hour of virtual
// time.
//
//   bench_planner [CERTIFICATES]        (default 1,000,000); prints one line of JSON
//
// The certificates live for 90 days, are of any age, and have two CAs; the first one offers renewal information with a
// Retry-After of six hours. The clock jumps from one wake-up to the next; orders succeed at once.
#include <malloc.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "culmen/planner.hpp"

using namespace culmen;
using namespace culmen::planner;
using namespace std::chrono_literals;

namespace {

constexpr Time start{1'800'000'000s};
constexpr Duration life = std::chrono::hours(24 * 90);
const std::string first = "https://acme-v02.api.letsencrypt.org/directory";
const std::string second = "https://acme.zerossl.com/v2/DV90";
using WakeUp = std::pair<Time, std::uint32_t>;

/// Certificates and when to look at them.
struct Fleet {
  std::vector<Situation> situations;
  std::map<std::string, CaHealth> healths;
  std::priority_queue<WakeUp, std::vector<WakeUp>, std::greater<>> wake_ups;
  std::mt19937_64 engine{1};
  std::uint64_t decisions = 0, orders = 0, asks = 0;

  double dice() { return std::uniform_real_distribution<double>(0, 1)(engine); }
};

void answer_about(Fleet& fleet, Situation& situation, Time now) {
  RenewalInfo info;
  info.window_start = situation.live->not_after - life / 3 - life / 100;
  info.window_end = info.window_start + life / 50;
  info.retry_after = 6h;
  situation.live->renewal = updated_renewal_state(situation.live->renewal, info, now, fleet.dice(), life);
}

void set_issued(Fleet& fleet, Situation& situation, Time now) {
  situation.live.emplace();
  situation.live->not_before = now;
  situation.live->not_after = now + life;
  situation.issued_by = first;
  situation.offers_renewal_info = true;
  situation.dice = fleet.dice();
  situation.attempts[first] = updated_attempts(Attempts(), Failure::none, now);
}

void make_fleet(Fleet& fleet, std::uint32_t count) {
  fleet.situations.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    Situation& situation = fleet.situations[i];
    situation.cas = {first, second};
    set_issued(fleet, situation, start - std::chrono::duration_cast<Duration>(life * (0.66 * fleet.dice())));
  }
}

void run_until(Fleet& fleet, Time end) {
  while (!fleet.wake_ups.empty() && fleet.wake_ups.top().first <= end) {
    const auto [now, index] = fleet.wake_ups.top();
    fleet.wake_ups.pop();
    Situation& situation = fleet.situations[index];
    const Action action = decide(situation, fleet.healths, Policy(), now);
    ++fleet.decisions;
    if (action.kind == Action::Kind::issue) {
      set_issued(fleet, situation, now);
      ++fleet.orders;
    }
    if (action.kind == Action::Kind::ask_renewal_info) {
      answer_about(fleet, situation, now);
      ++fleet.asks;
    }
    fleet.wake_ups.emplace(action.kind == Action::Kind::nothing ? action.wake_at : now, index);
  }
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace

int main(int argc, char** argv) {
  const long wanted = argc > 1 ? std::atol(argv[1]) : 1'000'000;
  if (wanted < 1 || wanted > 100'000'000) {
    std::fprintf(stderr, "usage: %s [CERTIFICATES]\n", argv[0]);
    return 2;
  }
  const auto count = static_cast<std::uint32_t>(wanted);
  Fleet fleet;
  const std::size_t before = bytes_in_use();
  make_fleet(fleet, count);
  for (Situation& situation : fleet.situations) {
    answer_about(fleet, situation, start);
    // As in a manager that has run for long.
    situation.live->renewal.next_check = start + std::chrono::duration_cast<Duration>(6h * fleet.dice());
  }
  const std::size_t bytes = bytes_in_use() - before;

  // One decision each: what a start costs.
  double began = cpu_seconds();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Action action = decide(fleet.situations[i], fleet.healths, Policy(), start);
    fleet.wake_ups.emplace(action.kind == Action::Kind::nothing ? action.wake_at : start, i);
  }
  const double first_plan = cpu_seconds() - began;

  // Six hours until everything is asked for once and spread out, then the day that counts.
  run_until(fleet, start + 6h);
  fleet.decisions = fleet.orders = fleet.asks = 0;
  began = cpu_seconds();
  run_until(fleet, start + 30h);
  const double day = cpu_seconds() - began;

  // The same decision again and again, without the heap.
  Situation due = fleet.situations.front();
  due.live->not_after = start + life / 5;
  due.attempts[first] = updated_attempts(Attempts(), Failure::validation, start - 1min);
  Situation idle = fleet.situations.front();
  const auto nanoseconds = [&](const Situation& situation, Time now) {
    constexpr int rounds = 1'000'000;
    const double from = cpu_seconds();
    std::size_t sum = 0;
    for (int i = 0; i < rounds; ++i) sum += decide(situation, fleet.healths, Policy(), now).reason.size();
    return sum == 0 ? 0 : (cpu_seconds() - from) / rounds * 1e9;
  };
  const double idle_ns = nanoseconds(idle, start + 30h);
  const double blocked_ns = nanoseconds(due, start);

  std::printf(R"({"certificates": %u, "bytes_a_certificate": %.0f, "sizeof_situation": %zu, "first_plan_s": %.2f, )"
              R"("cpu_s_an_hour": %.3f, "decisions_an_hour": %.0f, "orders_a_day": %llu, "asks_a_day": %llu, )"
              R"("ns_not_due": %.0f, "ns_blocked": %.0f})"
              "\n",
              count, static_cast<double>(bytes) / count, sizeof(Situation), first_plan, day / 24,
              static_cast<double>(fleet.decisions) / 24, static_cast<unsigned long long>(fleet.orders),
              static_cast<unsigned long long>(fleet.asks), idle_ns, blocked_ns);
  return 0;
}
