// Operations of delegation (RFC 9115 §2.3).
#include "protocol/delegation.hpp"

#include "engine/lists.hpp"
#include "engine/signed_post.hpp"
#include "protocol/order.hpp"

namespace culmen::engine {

Flow<Result<std::vector<std::string>>> list_delegations(Session session, Account account) {
  return whole_list(std::move(session), std::move(account),
                    {&Account::delegations, protocol::parse_delegations_page, "listing the delegations",
                     "this server has no delegations for the account"});
}

Flow<Result<Delegation>> get_delegation(Session session, Account account, std::string delegation_url) {
  SignedRequest request(account, delegation_url, "", "fetching a delegation");
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  co_return protocol::parse_delegation(*response, std::move(delegation_url));
}

Flow<Result<CertificateChain>> get_certificate(std::string certificate_url) {
  constexpr std::string_view doing = "getting the certificate without an account";
  if (certificate_url.empty()) {
    co_return Error(Errc::invalid_argument, doing, "there is no certificate URL: the order is not valid yet");
  }
  HttpRequest request(HttpMethod::get, std::move(certificate_url));
  request.accept = "application/pem-certificate-chain";
  Result<HttpResponse> response = co_await send(std::move(request));
  if (!response) co_return response.error().while_doing(doing);
  const Instant instant = co_await now();
  if (!protocol::is_success(*response)) co_return protocol::error_from(*response, doing, instant.wall);
  co_return protocol::parse_chain(*response);
}

}  // namespace culmen::engine
