#include "engine/session.hpp"

#include <algorithm>
#include <utility>

#include "engine/endpoints.hpp"

namespace culmen::engine {

void NoncePool::put(std::string nonce, Instant now) {
  if (limit_ == 0) return;
  const std::lock_guard lock(mutex_);
  if (entries_.size() == limit_) entries_.pop_front();
  entries_.push_back(Entry{std::move(nonce), now.steady});
}

std::optional<std::string> NoncePool::take(Instant now) {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) return std::nullopt;
  Entry newest = std::move(entries_.back());
  entries_.pop_back();
  if (now.steady - newest.since > lifetime_) {
    entries_.clear();  // all others are older still
    return std::nullopt;
  }
  return std::move(newest.nonce);
}

void NoncePool::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

bool is_https(std::string_view url) noexcept {
  constexpr std::string_view scheme = "https:";
  return url.size() >= scheme.size() && std::equal(scheme.begin(), scheme.end(), url.begin(), [](char wanted, char c) {
           return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == wanted;
         });
}

void Session::State::measured(std::chrono::steady_clock::duration round_trip) {
  const std::chrono::duration<double, std::milli> sample = round_trip;
  const std::lock_guard lock(mutex_);
  round_trip_ = round_trip_.count() == 0 ? sample : 0.7 * round_trip_ + 0.3 * sample;
}

std::chrono::microseconds Session::State::round_trip() {
  const std::lock_guard lock(mutex_);
  return std::chrono::ceil<std::chrono::microseconds>(round_trip_);
}

std::shared_ptr<const Directory> Session::State::directory() const {
  const std::lock_guard lock(mutex_);
  return directory_;
}

bool Session::State::claim_refresh(Instant now) {
  constexpr std::chrono::minutes pause_after_failure(5);
  const std::lock_guard lock(mutex_);
  if (now.steady < refresh_at_) return false;
  refresh_at_ = now.steady + pause_after_failure;
  return true;
}

bool Session::State::wants_refresh_of_endpoints(Instant now) const {
  constexpr std::chrono::minutes pause_after_refresh(1);
  const std::lock_guard lock(mutex_);
  return !endpoints_refreshed_ || now.steady >= *endpoints_refreshed_ + pause_after_refresh;
}

void Session::State::endpoints_refreshed(Instant now) {
  const std::lock_guard lock(mutex_);
  endpoints_refreshed_ = now.steady;
}

void Session::State::refreshed(Directory directory, Instant now) {
  auto fresh = std::make_shared<const Directory>(std::move(directory));
  const std::lock_guard lock(mutex_);
  directory_ = std::move(fresh);
  refresh_at_ = now.steady + options.directory_lifetime;
}

Directory Session::directory() const { return *state_->directory(); }
const SessionOptions& Session::options() const noexcept { return state_->options; }
const std::string& Session::directory_url() const noexcept { return state_->directory_url; }
Session Session::with_nonce_retries(int retries) const noexcept {
  return Session(state_, checked_nonce_retries(retries));
}

Flow<Result<Session>> connect(std::string directory_url, SessionOptions options) {
  const std::string url = resolve_directory_url(directory_url);
  options = checked(options);
  Result<Directory> directory = co_await fetch_directory(url, options);
  if (!directory) co_return directory.error();
  const Instant instant = co_await now();
  auto state = std::make_shared<Session::State>(url, std::move(*directory), options, instant);
  co_return Session(std::move(state), options.nonce_retries);
}

}  // namespace culmen::engine
