// Asking the CA when to renew (RFC 9773 §4.1).
#include "protocol/renewal_info.hpp"

#include "culmen/engine.hpp"

namespace culmen::engine {

Flow<Result<RenewalInfo>> get_renewal_info(Session session, std::string certificate_pem) {
  constexpr std::string_view doing = "asking the CA when to renew";
  if (session.directory().renewal_info.empty()) {
    co_return Error(Errc::not_offered, doing, "this CA gives no renewal information (no renewalInfo in its directory)");
  }
  Result<std::string> id = result_of([&] { return certificate_id(Certificate::from_pem(certificate_pem)); });
  if (!id) co_return id.error().while_doing(doing);
  HttpRequest request(HttpMethod::get, protocol::renewal_info_url(session.directory().renewal_info, *id));
  request.accept = "application/json";
  Result<HttpResponse> response = co_await send(std::move(request));
  if (!response) co_return response.error().while_doing(doing);
  const Instant instant = co_await now();
  if (!protocol::is_success(*response)) co_return protocol::error_from(*response, doing, instant.wall);
  co_return protocol::parse_renewal_info(*response, instant.wall);
}

}  // namespace culmen::engine
