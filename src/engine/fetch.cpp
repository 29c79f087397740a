#include "engine/fetch.hpp"

#include <optional>
#include <utility>

#include "engine/retry.hpp"
#include "engine/session.hpp"
#include "protocol/response.hpp"

namespace culmen::engine {

Flow<Result<HttpResponse>> fetch(SessionOptions options, HttpRequest request, std::string doing) {
  request.require_https = request.require_https || is_https(request.url);
  const Instant start = co_await now();
  RequestRetries retries(options, 0, Repeat::freely, start, request.time_limit);
  for (;;) {
    Result<HttpResponse> response = co_await send(request);
    const Instant instant = co_await now();
    const bool is_success = response && protocol::is_success(*response);
    // newNonce is the only HEAD.
    const bool is_readable =
        is_success && (request.method == HttpMethod::head ? protocol::replay_nonce(*response).has_value()
                                                          : protocol::is_readable(*response, request.accept));
    if (is_readable) co_return response;
    std::optional<std::chrono::milliseconds> pause;
    if (is_success) {
      pause = retries.pause_after_unreadable(instant);
      if (!pause) co_return response;  // what is wrong with it is the caller's to say
    } else {
      const Error error =
          response ? protocol::error_from(*response, doing, instant.wall) : response.error().while_doing(doing);
      pause = retries.pause_after(error, instant);
      if (!pause) co_return error;
    }
    if (Result<void> waited = co_await pause_for(*pause); !waited) co_return waited.error().while_doing(doing);
  }
}

Error blame_server(const Error& error) {
  if (error.code() != Errc::invalid_argument) return error;
  return Error(Errc::bad_response, error.doing(), "the server gave a URL that cannot be used: " + error.detail());
}

}  // namespace culmen::engine
