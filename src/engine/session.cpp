#include "engine/session.hpp"

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
