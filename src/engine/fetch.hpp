// Requests that are not signed: the directory, nonces, renewal information, certificates without an account.
#pragma once

#include <string>

#include "culmen/flow.hpp"
#include "culmen/options.hpp"

namespace culmen::engine {

/// A successful response (2xx), or the error. GET and HEAD change nothing: sent again as RequestRetries (retry.hpp)
/// decides for Repeat::freely. What begins by https never ends at http.
Flow<Result<HttpResponse>> fetch(SessionOptions options, HttpRequest request, std::string doing);

/// The error of a request to a URL that the server gave: a URL that cannot be used is the server's fault.
Error blame_server(const Error& error);

}  // namespace culmen::engine
