// Performs exchanges on a Multi, on this thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "culmen/asks.hpp"
#include "http/multi.hpp"

namespace culmen::test {

/// Performs until `ready()`, handing each result to `take`. Throws after 10 s.
template <class Ready, class Take>
void perform_until(http::Multi& multi, Ready ready, Take take) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!ready()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the exchanges take too long");
    int running = 0;
    curl_multi_perform(multi.handle(), &running);
    while (std::optional<http::Multi::Finished> finished = multi.next_finished()) take(std::move(*finished));
    if (!ready()) curl_multi_poll(multi.handle(), nullptr, 0, 10, nullptr);
  }
}

template <class Ready>
void perform_until(http::Multi& multi, Ready ready) {
  perform_until(multi, ready, [](http::Multi::Finished&&) {});
}

/// One request, from start to end.
inline Result<HttpResponse> perform(http::Multi& multi, HttpRequest request) {
  SendAsk ask(std::move(request));
  if (std::optional<Error> refused = multi.start(ask, nullptr)) return *refused;
  std::optional<Result<HttpResponse>> answer;
  perform_until(
      multi, [&answer] { return answer.has_value(); },
      [&answer](http::Multi::Finished&& finished) { answer = std::move(finished.answer); });
  return *answer;
}

}  // namespace culmen::test
