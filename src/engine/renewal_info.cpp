// Asking the CA when to renew (RFC 9773 §4.1).
#include "protocol/renewal_info.hpp"

#include <chrono>

#include "culmen/engine.hpp"
#include "engine/endpoints.hpp"
#include "engine/fetch.hpp"
#include "engine/session.hpp"

namespace culmen::engine {

namespace {
/// Renewal information is only a hint: a CA that does not answer must not hold up the renewal of many certificates.
constexpr std::chrono::seconds longest_answer(10);
}  // namespace

Flow<Result<RenewalInfo>> get_renewal_info(Session session, std::string certificate_pem) {
  const std::string doing = "asking the CA when to renew";
  Result<std::string> id = result_of([&] { return certificate_id(Certificate::from_pem(certificate_pem)); });
  if (!id) co_return id.error().while_doing(doing);
  Result<CurrentDirectory> directory = co_await current_directory(session);
  if (!directory) co_return directory.error().while_doing(doing);
  for (int tries = 0;; ++tries) {
    if ((*directory)->renewal_info.empty()) {
      co_return Error(Errc::not_offered, doing,
                      "this CA gives no renewal information (no renewalInfo in its directory)");
    }
    HttpRequest request(HttpMethod::get, protocol::renewal_info_url((*directory)->renewal_info, *id));
    request.accept = "application/json";
    request.time_limit = longest_answer;
    request.require_https = session.state().over_https;
    Result<HttpResponse> response = co_await fetch(session.options(), std::move(request), doing);
    if (response) {
      const Instant instant = co_await now();
      co_return protocol::parse_renewal_info(*response, instant.wall);
    }
    if (tries > 0) co_return blame_server(response.error());
    directory = co_await moved_directory(session, *directory, response.error());
    if (!directory) co_return blame_server(directory.error());
  }
}

}  // namespace culmen::engine
