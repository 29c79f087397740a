#include "engine/session.hpp"

#include <algorithm>

#include "protocol/directory.hpp"
#include "protocol/response.hpp"

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

Settling::Expectation Settling::expectation() {
  const std::lock_guard lock(mutex_);
  Expectation expectation;
  expectation.number = number_;
  if (expected_.count() > 0) {
    expectation.first_look =
        std::max(std::chrono::round<std::chrono::milliseconds>(expected_), std::chrono::milliseconds(1));
  }
  return expectation;
}

void Settling::seen_done(const Expectation& began_with, std::chrono::steady_clock::duration after, bool at_first_look) {
  // Quickly down to the first miss; from then on in balance at about one miss in twenty.
  constexpr double much_sooner = 0.85, sooner = 0.988, later = 1.25;
  const std::chrono::duration<double, std::milli> took = after;
  const std::lock_guard lock(mutex_);
  if (began_with.number != number_) return;
  ++number_;
  if (expected_.count() == 0) {
    expected_ = took;
  } else if (at_first_look) {
    expected_ *= missed_ ? sooner : much_sooner;
  } else {
    missed_ = true;
    expected_ = std::max(expected_ * later, took * 0.75);
  }
}

void Session::State::measured(std::chrono::steady_clock::duration round_trip) {
  const std::chrono::duration<double, std::milli> sample = round_trip;
  const std::lock_guard lock(mutex_);
  round_trip_ = round_trip_.count() == 0 ? sample : 0.7 * round_trip_ + 0.3 * sample;
}

std::chrono::milliseconds Session::State::round_trip() {
  const std::lock_guard lock(mutex_);
  return std::chrono::ceil<std::chrono::milliseconds>(round_trip_);
}

const Directory& Session::directory() const noexcept { return state_->directory; }
const SessionOptions& Session::options() const noexcept { return state_->options; }

Flow<Result<Session>> connect(std::string directory_url, SessionOptions options) {
  const std::string url = resolve_directory_url(directory_url);
  const std::string doing = "fetching the directory " + printable(url, 200);
  HttpRequest request(HttpMethod::get, url);
  request.accept = "application/json";
  Result<HttpResponse> response = co_await send(std::move(request));
  if (!response) co_return response.error().while_doing(doing);
  if (!protocol::is_success(*response)) {
    const Instant instant = co_await now();
    co_return protocol::error_from(*response, doing, instant.wall);
  }
  Result<Directory> directory = protocol::parse_directory(*response);
  if (!directory) co_return directory.error();
  auto state = std::make_shared<Session::State>(std::move(*directory), options);
  co_return Session(std::move(state), options.nonce_retries);
}

}  // namespace culmen::engine
