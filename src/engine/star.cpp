// Operations of STAR (RFC 8739).
#include "protocol/star.hpp"

#include "engine/endpoints.hpp"
#include "engine/fetch.hpp"
#include "engine/signed_post.hpp"

namespace culmen::engine {

Flow<Result<StarOrder>> new_star_order(Session session, Account account, StarOrderParams params) {
  const Instant instant = co_await now();
  MakeRequest make = [account, params, instant](const Directory& directory) -> Result<SignedRequest> {
    Result<void> checked = protocol::check_star_order(params, directory, instant.wall);
    if (!checked) return checked.error();
    SignedRequest request(account, directory.new_order, protocol::star_order_payload(params), "creating a STAR order");
    request.repeat = Repeat::once;  // An order that nobody uses only expires.
    return request;
  };
  Result<HttpResponse> response = co_await post_to_endpoint(session, std::move(make));
  if (!response) co_return response.error();
  Result<StarOrder> order = protocol::parse_star_order(*response, "", instant.wall);
  const std::optional<std::string> url = protocol::location(*response);
  if (!order && url) order = co_await get_star_order(session, account, *url);
  if (order && order->end_date == std::nullopt) {
    // A CA that ignores the member would issue a single, ordinary certificate.
    co_return Error(Errc::not_offered, "creating a STAR order",
                    "the CA ignored the request for renewal: its order has no auto-renewal");
  }
  co_return order;
}

Flow<Result<StarOrder>> get_star_order(Session session, Account account, std::string order_url) {
  SignedRequest request(account, order_url, "", "fetching a STAR order");
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  co_return protocol::parse_star_order(*response, std::move(order_url), instant.wall);
}

Flow<Result<StarOrder>> cancel_star_order(Session session, Account account, std::string order_url) {
  const SignedRequest request(account, order_url, protocol::cancel_payload(), "canceling a STAR order");
  Result<HttpResponse> response = co_await signed_post(session, request);
  if (!response && outcome_unknown(response.error())) {
    Result<StarOrder> seen = co_await get_star_order(session, account, order_url);
    if (!seen) co_return response.error();
    if (seen->status == OrderStatus::canceled) co_return seen;
    if (!may_be_repeated(response.error())) co_return response.error();
    response = co_await signed_post(session, request);
  }
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  Result<StarOrder> canceled = protocol::parse_star_order(*response, order_url, instant.wall);
  if (!canceled) canceled = co_await get_star_order(session, account, order_url);
  co_return canceled;
}

Flow<Result<StarCertificate>> download_star_certificate(Session session, Account account, std::string star_url) {
  SignedRequest request(account, std::move(star_url), "", "downloading the current STAR certificate");
  request.accept = "application/pem-certificate-chain";
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  co_return protocol::parse_star_certificate(*response);
}

Flow<Result<StarCertificate>> get_star_certificate(std::string star_url) {
  const std::string doing = "getting the current STAR certificate";
  HttpRequest request(HttpMethod::get, std::move(star_url));
  request.accept = "application/pem-certificate-chain";
  Result<HttpResponse> response = co_await fetch(SessionOptions(), std::move(request), doing);
  if (!response) co_return response.error();
  co_return protocol::parse_star_certificate(*response);
}

}  // namespace culmen::engine
