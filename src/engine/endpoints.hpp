// The endpoints of the directory: current, and fetched again when the CA has moved them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "culmen/engine.hpp"
#include "engine/signed_post.hpp"

namespace culmen::engine {

Flow<Result<Directory>> fetch_directory(std::string url, SessionOptions options);

using CurrentDirectory = std::shared_ptr<const Directory>;

/// The directory, fetched again if it is older than SessionOptions::directory_lifetime. Fails only on cancellation.
Flow<Result<CurrentDirectory>> current_directory(Session session);
/// After an endpoint of `used` answered with `error`: another directory if the status is 404 or 410 and the CA has
/// changed its directory since; otherwise `error`.
Flow<Result<CurrentDirectory>> moved_directory(Session session, CurrentDirectory used, Error error);

/// Makes the request to an endpoint. What is signed contains the URL, so it is made again for another URL.
using MakeRequest = std::function<Result<SignedRequest>(const Directory& directory)>;
/// signed_post() to an endpoint; once more if the CA has moved the endpoint.
Flow<Result<HttpResponse>> post_to_endpoint(Session session, MakeRequest make);

}  // namespace culmen::engine
