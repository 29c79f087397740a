#include "engine/endpoints.hpp"

#include <utility>

#include "base/text.hpp"
#include "engine/fetch.hpp"
#include "engine/session.hpp"
#include "protocol/directory.hpp"

namespace culmen::engine {

namespace {
bool same_endpoints(const Directory& a, const Directory& b) {
  return a.new_nonce == b.new_nonce && a.new_account == b.new_account && a.new_order == b.new_order &&
         a.revoke_cert == b.revoke_cert && a.key_change == b.key_change && a.new_authz == b.new_authz &&
         a.renewal_info == b.renewal_info;
}

/// Fetches the directory again. If that fails, the old one remains in use.
Flow<Result<void>> refresh(Session session) {
  Session::State& state = session.state();
  Result<Directory> fresh = co_await fetch_directory(state.directory_url, state.options);
  if (!fresh && fresh.error().code() == Errc::cancelled) co_return fresh.error();
  const Instant instant = co_await now();
  if (fresh) state.refreshed(std::move(*fresh), instant);
  co_return Result<void>();
}
}  // namespace

Flow<Result<Directory>> fetch_directory(std::string url, SessionOptions options) {
  HttpRequest request(HttpMethod::get, url);
  request.accept = "application/json";
  Result<HttpResponse> response =
      co_await fetch(options, request, "fetching the directory " + printable(base::without_credentials(url), 200));
  if (!response && response.error().http_status() == 404)
    co_return response.error().while_doing("reading the ACME directory URL (they often end with /directory)");
  if (!response) co_return response.error();
  co_return protocol::parse_directory(*response);
}

Flow<Result<CurrentDirectory>> current_directory(Session session) {
  const Instant instant = co_await now();
  if (session.state().claim_refresh(instant)) {
    Result<void> done = co_await refresh(session);
    if (!done) co_return done.error();
  }
  co_return session.state().directory();
}

Flow<Result<CurrentDirectory>> moved_directory(Session session, CurrentDirectory used, Error error) {
  if (error.http_status() != 404 && error.http_status() != 410) co_return error;
  const Instant instant = co_await now();
  CurrentDirectory fresh = session.state().directory();
  if (same_endpoints(*fresh, *used) && session.state().wants_refresh_of_endpoints(instant)) {
    Result<void> done = co_await refresh(session);
    if (!done) co_return done.error();
    const Instant end = co_await now();
    session.state().endpoints_refreshed(end);
    fresh = session.state().directory();
  }
  if (same_endpoints(*fresh, *used)) co_return error;
  co_return fresh;
}

Flow<Result<HttpResponse>> post_to_endpoint(Session session, MakeRequest make) {
  Result<CurrentDirectory> directory = co_await current_directory(session);
  if (!directory) co_return directory.error();
  Result<SignedRequest> request = make(**directory);
  if (!request) co_return request.error();
  Result<HttpResponse> response = co_await signed_post(session, *request);
  if (response) co_return response;
  directory = co_await moved_directory(session, *directory, response.error());
  if (!directory) co_return directory.error();
  request = make(**directory);
  if (!request) co_return request.error();
  co_return co_await signed_post(session, std::move(*request));
}

}  // namespace culmen::engine
