#include "engine/signed_post.hpp"

#include <optional>
#include <utility>

#include "engine/endpoints.hpp"
#include "engine/fetch.hpp"
#include "engine/retry.hpp"
#include "engine/session.hpp"
#include "jose/jws.hpp"
#include "protocol/response.hpp"

namespace culmen::engine {

namespace {
using std::chrono::milliseconds;

Flow<Result<std::string>> fresh_nonce(Session session, std::optional<milliseconds> time_limit) {
  const std::string doing = "fetching a nonce";
  Result<CurrentDirectory> directory = co_await current_directory(session);
  if (!directory) co_return directory.error().while_doing(doing);
  HttpRequest request(HttpMethod::head, (*directory)->new_nonce);
  request.time_limit = time_limit;
  request.require_https = session.state().over_https;
  Result<HttpResponse> response = co_await fetch(session.options(), request, doing);
  if (!response) {
    directory = co_await moved_directory(session, *directory, response.error());
    if (!directory) co_return blame_server(directory.error());
    request.url = (*directory)->new_nonce;
    response = co_await fetch(session.options(), request, doing);
  }
  if (!response) co_return blame_server(response.error());
  std::optional<std::string> nonce = protocol::replay_nonce(*response);
  if (!nonce) co_return Error(Errc::bad_response, doing, "the answer has no usable Replay-Nonce");
  co_return std::move(*nonce);
}

Result<HttpRequest> signed_request(const SignedRequest& request, const std::string& nonce) {
  HttpRequest http(HttpMethod::post, request.url);
  http.content_type = "application/jose+json";
  http.accept = request.accept;
  http.time_limit = request.time_limit;
  Result<std::string> body = result_of([&] {
    return request.kid.empty() ? jose::sign_with_jwk(request.key, nonce, request.url, request.payload)
                               : jose::sign_with_kid(request.key, request.kid, nonce, request.url, request.payload);
  });
  if (!body) return body.error().while_doing(request.doing);
  http.body = std::move(*body);
  return http;
}
}  // namespace

Flow<Result<HttpResponse>> signed_post(Session session, SignedRequest request) {
  Session::State& state = session.state();
  const Instant start = co_await now();
  // RFC 8555 §6.3: a POST-as-GET changes nothing.
  const Repeat repeat = request.payload.empty() ? Repeat::freely : request.repeat;
  RequestRetries retries(state.options, session.nonce_retries(), repeat, start, request.time_limit);
  std::optional<std::string> given_nonce;  // by the last error: RFC 8555 §6.5 wants that one used
  for (;;) {
    const Instant before = co_await now();
    std::optional<std::string> nonce = std::exchange(given_nonce, std::nullopt);
    if (!nonce) nonce = state.nonces.take(before);
    if (!nonce) {
      Result<std::string> fetched = co_await fresh_nonce(session, request.time_limit);
      if (!fetched) co_return fetched.error().while_doing(request.doing);
      nonce = std::move(*fetched);
    }
    Result<HttpRequest> http = signed_request(request, *nonce);
    if (!http) co_return http.error();
    http->require_https = state.over_https;

    const Instant sent = co_await now();
    Result<HttpResponse> response = co_await send(std::move(*http));
    const Instant received = co_await now();
    std::optional<std::string> next_nonce;
    std::optional<Error> error;
    bool is_unreadable = false;  // what is wrong with it is the caller's to say
    if (response) {
      state.measured(received.steady - sent.steady);
      next_nonce = protocol::replay_nonce(*response);
      if (!protocol::is_success(*response)) {
        error = protocol::error_from(*response, request.doing, received.wall);
      } else {
        is_unreadable = request.payload.empty() && !protocol::is_readable(*response, request.accept);
      }
    } else {
      error = blame_server(response.error()).while_doing(request.doing);
    }
    std::optional<milliseconds> pause;
    if (error) pause = retries.pause_after(*error, received);
    if (is_unreadable) pause = retries.pause_after_unreadable(received);
    if (error && error->code() == Errc::bad_nonce) {
      state.nonces.clear();
      if (pause) given_nonce = std::exchange(next_nonce, std::nullopt);
    }
    if (next_nonce) state.nonces.put(std::move(*next_nonce), received);
    if (!error && !pause) co_return std::move(*response);
    if (!pause) co_return std::move(*error);
    if (*pause > milliseconds(0)) {
      Result<void> waited = co_await pause_for(*pause);
      if (!waited) co_return waited.error().while_doing(request.doing);
    }
  }
}

}  // namespace culmen::engine
