#include "renewal_store.hpp"

#include <chrono>
#include <random>

#include "culmen/planner.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

using Clock = std::chrono::system_clock;

constexpr double dice_unit = 1'000'000;  // stored as a whole number

std::filesystem::path state_file(const StoredCertificate& live) { return live.folder / "renewal.json"; }

// UNIX seconds: for culmen to read again. For people, `culmen renew --dry-run` shows them.
std::int64_t seconds_of(Clock::time_point time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::optional<Clock::time_point> time_of(const JsonObject& object, std::string_view name) {
  constexpr std::int64_t missing = -1, latest = 8'000'000'000;  // the clock ends in 2262
  const std::int64_t seconds = object.number(name, missing);
  if (seconds < 0 || seconds > latest) return std::nullopt;
  return Clock::time_point(std::chrono::seconds(seconds));
}

}  // namespace

RenewalState read_renewal_state(const StoredCertificate& live) {
  RenewalState state;
  std::optional<JsonObject> kept;
  try {
    kept = read_json(state_file(live));
  } catch (const Error&) {
    return state;
  }
  if (!kept) return state;
  state.chosen = time_of(*kept, "chosen");
  state.next_check = time_of(*kept, "next_check");
  state.answered_at = time_of(*kept, "answered_at");
  state.window_since = time_of(*kept, "window_since");
  if (const int dice = kept->number("dice", -1); dice >= 0) state.dice = dice / dice_unit;
  const auto start = time_of(*kept, "window_start"), end = time_of(*kept, "window_end");
  if (start && end) {
    RenewalInfo info;
    info.window_start = *start;
    info.window_end = *end;
    info.explanation_url = kept->text("explanation_url");
    if (const std::int64_t wait = kept->number("retry_after", std::int64_t{-1}); wait >= 0)
      info.retry_after = std::chrono::seconds(wait);
    state.info = std::move(info);
  } else {
    state.chosen.reset();
  }
  return state;
}

void write_renewal_state(const StoredCertificate& live, const RenewalState& state) {
  JsonObject kept;
  if (state.chosen) kept.set("chosen", seconds_of(*state.chosen));
  if (state.next_check) kept.set("next_check", seconds_of(*state.next_check));
  if (state.answered_at) kept.set("answered_at", seconds_of(*state.answered_at));
  if (state.window_since) kept.set("window_since", seconds_of(*state.window_since));
  if (state.dice) kept.set("dice", static_cast<int>(*state.dice * dice_unit));
  if (state.info) {
    kept.set("window_start", seconds_of(state.info->window_start));
    kept.set("window_end", seconds_of(state.info->window_end));
    if (!state.info->explanation_url.empty()) kept.set("explanation_url", state.info->explanation_url);
    if (state.info->retry_after) kept.set("retry_after", state.info->retry_after->count());
  }
  write_json(state_file(live), kept);
}

RenewalState with_answer(const StoredCertificate& live, RenewalState state, const std::optional<RenewalInfo>& answer) {
  std::random_device device;
  const double random = std::uniform_real_distribution<double>(0.0, 1.0)(device);
  const auto lifetime = planner::lifetime(live.leaf.not_before, live.leaf.not_after);
  return updated_renewal_state(std::move(state), answer, Clock::now(), random, lifetime);
}

RenewalState ask_for_renewal_info(blocking::AcmeClient& client, const StoredCertificate& live, RenewalState state,
                                  Output& output) {
  std::optional<RenewalInfo> answer;
  try {
    answer = client.get_renewal_info(live.fullchain);
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    output.log(std::string("no renewal information: ") + error.what());
  }
  return with_answer(live, std::move(state), answer);
}

}  // namespace culmen::cli
