// Operations of delegation (RFC 9115 §2.3).
#include "protocol/delegation.hpp"

#include "engine/lists.hpp"
#include "engine/signed_post.hpp"

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

}  // namespace culmen::engine
