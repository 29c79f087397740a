// Operations on authorizations and challenges (RFC 8555 §7.4.1, §7.5).
#include "protocol/authorization.hpp"

#include "base/base64.hpp"
#include "engine/orders.hpp"
#include "engine/retry.hpp"
#include "engine/session.hpp"
#include "engine/signed_post.hpp"
#include "protocol/account.hpp"

namespace culmen::engine {

namespace {
Flow<Result<Authorization>> post_to_authorization(Session session, Account account, std::string url,
                                                  std::string payload, std::string doing) {
  SignedRequest request(account, url, std::move(payload), std::move(doing));
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  co_return protocol::parse_authorization(*response, std::move(url), instant.wall);
}

Error ended_badly(const Authorization& authorization, std::string_view doing) {
  std::string why = "it is " + std::string(to_string(authorization.status));
  std::vector<Problem> problems = protocol::problems_of(authorization);
  return Error(Errc::authorization_invalid, doing, why).with_problems(std::move(problems));
}
}  // namespace

Flow<Result<Authorization>> get_authorization(Session session, Account account, std::string authorization_url) {
  co_return co_await post_to_authorization(std::move(session), std::move(account), std::move(authorization_url), "",
                                           "fetching an authorization");
}

Flow<Result<Authorization>> deactivate_authorization(Session session, Account account, std::string authorization_url) {
  co_return co_await post_to_authorization(std::move(session), std::move(account), std::move(authorization_url),
                                           protocol::deactivate_payload(), "deactivating an authorization");
}

Flow<Result<Authorization>> new_authorization(Session session, Account account, Identifier identifier,
                                              bool subdomains) {
  const std::string doing = "asking for an authorization of " + identifier.value;
  if (session.directory().new_authz.empty()) {
    co_return Error(Errc::not_offered, doing, "this CA has no pre-authorization (newAuthz): place an order instead");
  }
  if (identifier.is_wildcard()) {
    // RFC 8555 §7.4.1: pre-authorization names the exact identifier, and so cannot stand for a wildcard.
    co_return Error(Errc::invalid_argument, doing, "wildcards cannot be authorized ahead of an order");
  }
  if (subdomains && !session.directory().meta.subdomain_auth_allowed) {
    co_return Error(Errc::not_offered, doing, "this CA has no authorizations for names below (subdomainAuthAllowed)");
  }
  SignedRequest request(account, session.directory().new_authz,
                        protocol::new_authorization_payload(identifier, subdomains), doing);
  Result<HttpResponse> response = co_await signed_post(session, std::move(request));
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  co_return protocol::parse_authorization(*response, "", instant.wall);
}

Flow<Result<Authorization>> poll_authorization(Session session, Account account, std::string authorization_url,
                                               std::optional<std::chrono::seconds> deadline) {
  const PollOptions options(deadline);
  co_return co_await poll_authorization_with(std::move(session), std::move(account), std::move(authorization_url),
                                             options);
}

Flow<Result<Authorization>> poll_authorization_with(Session session, Account account, std::string authorization_url,
                                                    PollOptions options) {
  const Instant start = co_await now();
  PollTimer timer(session.state().options, session.state().round_trip(), start, options);
  for (;;) {
    Result<Authorization> authorization = co_await get_authorization(session, account, authorization_url);
    if (!authorization) co_return authorization.error();
    const std::string doing = "waiting for the authorization of " + printable(authorization->identifier.value, 260);
    switch (authorization->status) {
      case AuthorizationStatus::valid: co_return std::move(*authorization);
      case AuthorizationStatus::invalid:
      case AuthorizationStatus::deactivated:
      case AuthorizationStatus::expired:
      case AuthorizationStatus::revoked: co_return ended_badly(*authorization, doing);
      case AuthorizationStatus::pending:
      case AuthorizationStatus::unknown: break;
    }
    const Instant instant = co_await now();
    Result<std::chrono::milliseconds> pause = timer.pause(authorization->retry_after, instant, doing);
    if (!pause) co_return pause.error();
    if (Result<void> waited = co_await wait(*pause); !waited) co_return waited.error().while_doing(doing);
  }
}

Flow<Result<Challenge>> trigger_challenge(Session session, Account account, Challenge challenge, std::string response) {
  SignedRequest request(account, challenge.url, std::move(response), "triggering " + printable(challenge.type, 60));
  Result<HttpResponse> reply = co_await signed_post(std::move(session), std::move(request));
  if (!reply) co_return reply.error();
  co_return protocol::parse_challenge(*reply, challenge);
}

Flow<Result<Challenge>> trigger_challenge_onion(Session session, Account account, std::string challenge_url,
                                                Bytes csr_der) {
  Challenge challenge;
  challenge.type = "onion-csr-01";
  challenge.url = std::move(challenge_url);
  std::string response = "{\"csr\":\"" + base::base64url_encode(csr_der) + "\"}";
  co_return co_await trigger_challenge(std::move(session), std::move(account), challenge, std::move(response));
}

}  // namespace culmen::engine
