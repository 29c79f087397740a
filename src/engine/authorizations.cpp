// Operations on authorizations and challenges (RFC 8555 §7.4.1, §7.5).
#include "protocol/authorization.hpp"

#include "base/base64.hpp"
#include "engine/authorize.hpp"
#include "engine/endpoints.hpp"
#include "engine/orders.hpp"
#include "engine/retry.hpp"
#include "engine/session.hpp"
#include "engine/signed_post.hpp"
#include "protocol/account.hpp"

namespace culmen::engine {

Flow<Result<Authorization>> get_authorization(Session session, Account account, std::string authorization_url) {
  SignedRequest request(account, authorization_url, "", "fetching an authorization");
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  co_return protocol::parse_authorization(*response, std::move(authorization_url), instant.wall);
}

Flow<Result<Authorization>> deactivate_authorization(Session session, Account account, std::string authorization_url) {
  SignedRequest request(account, authorization_url, protocol::deactivate_payload(), "deactivating an authorization");
  Result<HttpResponse> response = co_await signed_post(session, request);
  if (!response && outcome_unknown(response.error())) {
    Result<Authorization> seen = co_await get_authorization(session, account, authorization_url);
    if (!seen) co_return response.error();
    if (seen->status == AuthorizationStatus::deactivated) co_return seen;
    if (!may_be_repeated(response.error())) co_return response.error();
    response = co_await signed_post(session, request);
  }
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  Result<Authorization> authorization = protocol::parse_authorization(*response, authorization_url, instant.wall);
  if (!authorization) authorization = co_await get_authorization(session, account, authorization_url);
  co_return authorization;
}

Flow<Result<Authorization>> new_authorization(Session session, Account account, Identifier identifier,
                                              bool subdomains) {
  const std::string doing = "asking for an authorization of " + identifier.value;
  if (identifier.is_wildcard()) {
    // RFC 8555 §7.4.1: pre-authorization names the exact identifier, and so cannot stand for a wildcard.
    co_return Error(Errc::invalid_argument, doing, "wildcards cannot be authorized ahead of an order");
  }
  MakeRequest make = [account, identifier, subdomains, doing](const Directory& directory) -> Result<SignedRequest> {
    if (directory.new_authz.empty()) {
      return Error(Errc::not_offered, doing, "this CA has no pre-authorization (newAuthz): place an order instead");
    }
    if (subdomains && !directory.meta.subdomain_auth_allowed) {
      return Error(Errc::not_offered, doing, "this CA has no authorizations for names below (subdomainAuthAllowed)");
    }
    SignedRequest request(account, directory.new_authz, protocol::new_authorization_payload(identifier, subdomains),
                          doing);
    request.repeat = Repeat::once;  // An authorization that nobody uses only expires.
    return request;
  };
  Result<HttpResponse> response = co_await post_to_endpoint(session, std::move(make));
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  Result<Authorization> authorization = protocol::parse_authorization(*response, "", instant.wall);
  const std::optional<std::string> url = protocol::location(*response);
  if (!authorization && url) authorization = co_await get_authorization(session, account, *url);
  co_return authorization;
}

Flow<Result<Authorization>> poll_authorization(Session session, Account account, std::string authorization_url,
                                               std::optional<std::chrono::seconds> deadline) {
  const PollOptions options(deadline);
  co_return co_await poll_authorization_with(std::move(session), std::move(account), std::move(authorization_url),
                                             options);
}

Flow<Result<Authorization>> poll_authorization_with(Session session, Account account, std::string authorization_url,
                                                    PollOptions options, Validation* validation) {
  const Instant start = co_await now();
  PollTimer timer(session.state().options, session.state().round_trip(), start, options);
  std::string doing = "waiting for an authorization";
  std::optional<Authorization> seen;
  int failed_polls = 0;
  for (;;) {
    Result<Authorization> authorization = co_await get_authorization(session, account, authorization_url);
    std::optional<std::chrono::seconds> retry_after;
    if (authorization) {
      failed_polls = 0;
      seen = std::move(*authorization);
      retry_after = seen->retry_after;
      doing = "waiting for the authorization of " + printable(display_name(*seen), 260);
      switch (seen->status) {
        case AuthorizationStatus::valid: co_return std::move(*seen);
        case AuthorizationStatus::invalid:
        case AuthorizationStatus::deactivated:
        case AuthorizationStatus::expired:
        case AuthorizationStatus::revoked: co_return ended_badly(*seen, doing);
        case AuthorizationStatus::pending:
        case AuthorizationStatus::unknown: break;
      }
      const Instant instant = co_await now();
      if (validation) {
        if (Result<void> noted = note(*validation, *seen, instant); !noted) co_return noted.error();
      }
    } else {
      // The CA continues with the authorization whether this poll got through or not.
      if (!is_worth_retrying(authorization.error()) || ++failed_polls > max_failed_polls)
        co_return authorization.error().while_doing(doing);
      retry_after = authorization.error().retry_after();
    }
    const Instant instant = co_await now();
    Result<microseconds> pause = timer.pause(retry_after, instant, doing);
    if (!pause) {
      if (!authorization) co_return authorization.error().while_doing(doing);
      co_return with_authorizations(pause.error(), std::vector<Authorization>(1, *seen));
    }
    Result<void> rested = co_await rest(validation, *pause);
    if (!rested) co_return rested.error().while_doing(doing);
  }
}

Flow<Result<Challenge>> trigger_challenge(Session session, Account account, Challenge challenge, std::string response) {
  const SignedRequest request(account, challenge.url, response, "triggering " + printable(challenge.type, 60));
  std::optional<Challenge> unreadable;
  for (int repeats = 0;; ++repeats) {
    Result<HttpResponse> reply = co_await signed_post(session, request);
    std::optional<Error> error;
    if (reply) {
      Challenge triggered = protocol::challenge_after_trigger(*reply, challenge);
      if (triggered.status != ChallengeStatus::unknown) co_return triggered;
      // Perhaps not the CA's words, but of something in front of it. Nothing in them is needed.
      unreadable = std::move(triggered);
    } else if (!unreadable) {
      error = reply.error();
      if (!outcome_unknown(*error)) co_return *error;
    } else if (reply.error().code() == Errc::cancelled) {
      co_return reply.error();
    } else {
      co_return *unreadable;  // it was heard the first time
    }
    // Ask whether the request arrived before it is repeated.
    const bool again = repeats < max_repeats_after_look && (!error || may_be_repeated(*error));
    if (again && repeats > 0) {
      Result<void> waited = co_await pause_for(repeat_pause(repeats));
      if (!waited) co_return waited.error().while_doing(request.doing);
    }
    const SignedRequest look(account, challenge.url, "", request.doing);
    Result<HttpResponse> seen = co_await signed_post(session, look);
    if (!seen && (error || seen.error().code() == Errc::cancelled)) co_return error ? *error : seen.error();
    if (!seen) co_return *unreadable;
    const Challenge found = protocol::challenge_after_trigger(*seen, challenge);
    if (found.status != ChallengeStatus::pending && found.status != ChallengeStatus::unknown) co_return found;
    if (!again || (!error && found.status == ChallengeStatus::unknown && repeats > 0)) {
      if (error) co_return *error;
      co_return *unreadable;
    }
  }
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
