// What a server without sockets answers: for TestCa::handle() and for drivers with a virtual clock.
#pragma once

#include <chrono>
#include <utility>

#include "culmen/http.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// A response, or why there is none, and when it arrives. A plain value.
struct TimedResponse {
  explicit TimedResponse(Result<HttpResponse> response_, std::chrono::milliseconds after_ = {})
      : response(std::move(response_)), after(after_) {}
  Result<HttpResponse> response;
  std::chrono::milliseconds after;  ///< From the request to the response.
};

}  // namespace culmen
