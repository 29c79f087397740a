#include "engine/signed_post.hpp"

#include <algorithm>
#include <optional>

#include "engine/session.hpp"
#include "jose/jws.hpp"
#include "protocol/response.hpp"

namespace culmen::engine {

namespace {
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds first_busy_pause{1000};

Flow<Result<std::string>> fresh_nonce(Session session) {
  constexpr std::string_view doing = "fetching a nonce";
  HttpRequest request(HttpMethod::head, session.directory().new_nonce);
  Result<HttpResponse> response = co_await send(std::move(request));
  if (!response) co_return response.error().while_doing(doing);
  const Instant instant = co_await now();
  if (!protocol::is_success(*response)) co_return protocol::error_from(*response, doing, instant.wall);
  std::optional<std::string> nonce = protocol::replay_nonce(*response);
  if (!nonce) co_return Error(Errc::bad_response, doing, "the answer has no usable Replay-Nonce");
  co_return std::move(*nonce);
}

Result<HttpRequest> signed_request(const SignedRequest& request, const std::string& nonce) {
  HttpRequest http(HttpMethod::post, request.url);
  http.content_type = "application/jose+json";
  http.accept = request.accept;
  Result<std::string> body = result_of([&] {
    return request.kid.empty() ? jose::sign_with_jwk(request.key, nonce, request.url, request.payload)
                               : jose::sign_with_kid(request.key, request.kid, nonce, request.url, request.payload);
  });
  if (!body) return body.error().while_doing(request.doing);
  http.body = std::move(*body);
  return http;
}

bool is_busy(const Error& error) { return error.http_status() == 429 || error.http_status() == 503; }

/// How long to wait before asking a busy server again; nullopt: not worth it.
std::optional<milliseconds> busy_pause(const Error& error, int tries_before, milliseconds left) {
  milliseconds pause = first_busy_pause * (1 << tries_before);
  if (const std::optional<seconds> asked = error.retry_after()) {
    pause = *asked;
  } else if (error.http_status() == 429) {
    return std::nullopt;  // A rate limit without a time: trying on would only count against it.
  }
  if (pause > left) return std::nullopt;
  return std::max(pause, milliseconds(50));
}

bool may_be_sent_again(const SignedRequest& request, const Error& error) {
  return (request.payload.empty() || request.repeatable) &&
         (error.code() == Errc::connection_failed || error.code() == Errc::timeout);
}
}  // namespace

Flow<Result<HttpResponse>> signed_post(Session session, SignedRequest request) {
  Session::State& state = session.state();
  const Instant start = co_await now();
  std::optional<std::string> given_nonce;  // by the last error: RFC 8555 §6.5 wants that one used
  int nonce_retries = 0;
  int busy_retries = 0;
  bool broke = false;
  for (;;) {
    const Instant before = co_await now();
    std::optional<std::string> nonce = std::exchange(given_nonce, std::nullopt);
    if (!nonce) nonce = state.nonces.take(before);
    if (!nonce) {
      Result<std::string> fetched = co_await fresh_nonce(session);
      if (!fetched) co_return fetched.error().while_doing(request.doing);
      nonce = std::move(*fetched);
    }
    Result<HttpRequest> http = signed_request(request, *nonce);
    if (!http) co_return http.error();

    const Instant sent = co_await now();
    Result<HttpResponse> response = co_await send(std::move(*http));
    const Instant received = co_await now();
    if (!response) {
      const Error error = response.error().while_doing(request.doing);
      if (broke || !may_be_sent_again(request, error)) co_return error;
      broke = true;
      continue;
    }
    state.measured(received.steady - sent.steady);
    std::optional<std::string> next_nonce = protocol::replay_nonce(*response);
    if (protocol::is_success(*response)) {
      if (next_nonce) state.nonces.put(std::move(*next_nonce), received);
      co_return std::move(*response);
    }

    const Error error = protocol::error_from(*response, request.doing, received.wall);
    if (error.code() == Errc::bad_nonce) {
      state.nonces.clear();
      if (nonce_retries == session.nonce_retries()) {
        if (next_nonce) state.nonces.put(std::move(*next_nonce), received);
        co_return error;
      }
      ++nonce_retries;
      given_nonce = std::move(next_nonce);
      continue;
    }
    if (next_nonce) state.nonces.put(std::move(*next_nonce), received);
    if (!is_busy(error) || busy_retries == state.options.busy_retries) co_return error;
    const auto spent = std::chrono::duration_cast<milliseconds>(received.steady - start.steady);
    const std::optional<milliseconds> pause = busy_pause(error, busy_retries, state.options.poll_deadline - spent);
    if (!pause) co_return error;
    ++busy_retries;
    if (Result<void> waited = co_await wait(*pause); !waited) co_return waited.error().while_doing(request.doing);
  }
}

bool outcome_unknown(const Error& error) noexcept {
  return error.code() == Errc::connection_failed || error.code() == Errc::timeout || error.http_status() >= 500;
}

}  // namespace culmen::engine
