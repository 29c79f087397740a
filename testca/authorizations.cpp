// Authorizations and their challenges (RFC 8555 §7.5, §8).
#include <algorithm>
#include <array>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "base/time.hpp"
#include "crypto/onion.hpp"
#include "testca/acme_server.hpp"
#include "testca/authority_token.hpp"
#include "testca/json_reader.hpp"
#include "testca/onion.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

/// Which challenges go with which identifiers.
struct ChallengeKind {
  const char* type;
  bool for_names, for_wildcards, for_addresses, for_numbers;
};
constexpr std::array<ChallengeKind, 7> challenge_kinds = {{
    {"http-01", true, false, true, false},
    {"dns-01", true, true, false, false},  // RFC 8738 §7: never for IP addresses
    {"dns-account-01", true, true, false, false},
    {"dns-persist-01", true, true, false, false},
    {"onion-csr-01", true, true, false, false},
    {"tls-alpn-01", true, false, true, false},
    {"tkauth-01", false, false, false, true},
}};

bool goes_with(const ChallengeKind& kind, const Authz& authz) {
  if (authz.wildcard) return kind.for_wildcards;
  if (authz.identifier.type == "TNAuthList") return kind.for_numbers;
  return authz.identifier.type == "ip" ? kind.for_addresses : kind.for_names;
}

}  // namespace

Reply AcmeServer::new_authz(Call& call) {
  json::object request = read_object(call.payload, "the payload");
  const json::value* asked = request.if_contains("identifier");
  if (!asked) throw malformed("\"identifier\" is missing");
  std::optional<Problem> problem;
  std::optional<Identifier> identifier = read_identifier(*asked, problem);
  if (!identifier) {
    problem->identifier.reset();
    throw Refusal(std::move(*problem));
  }
  check_onion_names({*identifier});
  // RFC 8555 §7.4.1: "the server MUST NOT" pre-authorize wildcard names.
  if (identifier->value.starts_with("*.")) throw malformed("wildcard names cannot be authorized in advance");
  // RFC 9444 §4.1: "subdomainAuthAllowed" stands in the identifier.
  const bool subdomains = bool_member(asked->get_object(), "subdomainAuthAllowed").value_or(false);
  if (subdomains && !options_.subdomain_auth)
    throw Refusal(403, "unauthorized", "this CA has no authorizations for names below a domain");
  Authz& authz = make_authz(*call.account, *identifier, subdomains);
  authz.pre_authorized = true;
  Reply reply = authz_reply(201, authz);
  reply.add("Location", authz_url(authz));
  return reply;
}

Reply AcmeServer::authz(Call& call) {
  auto found = state_.authzs.find(call.path[0]);
  if (found == state_.authzs.end()) throw Refusal(404, "malformed", "there is no such authorization");
  Authz& authz = *found->second;
  if (authz.account != call.account) throw unauthorized("the authorization belongs to another account");
  update(authz);
  if (call.is_post_as_get()) {
    Reply reply = authz_reply(200, authz);
    if (authz.state == AuthzState::valid && authz.looks_pending > 0) --authz.looks_pending;
    return reply;
  }
  json::object request = read_object(call.payload, "the payload");
  if (string_member(request, "status") != "deactivated")
    throw malformed("the only change an authorization can take is \"status\": \"deactivated\"");
  if (authz.state != AuthzState::pending && authz.state != AuthzState::valid)
    throw malformed("the authorization is " + std::string(to_string(authz.state)) + " and cannot be deactivated");
  authz.state = AuthzState::deactivated;
  return authz_reply(200, authz);
}

Reply AcmeServer::challenge(Call& call) {
  auto found = state_.challenges.find(call.path[0]);
  if (found == state_.challenges.end()) throw Refusal(404, "malformed", "there is no such challenge");
  Challenge& challenge = *found->second;
  if (challenge.authz->account != call.account) throw unauthorized("the challenge belongs to another account");
  update(*challenge.authz);
  if (!call.is_post_as_get()) {
    // RFC 8555 §8.3 and §8.4: the response is an empty object; key authorizations went out with the drafts.
    const json::object response = read_object(call.payload, "the payload");
    if (challenge.type == "onion-csr-01") {
      respond_to_onion(challenge, response, call);
    } else if (challenge.type == "tkauth-01") {
      respond_to_token(challenge, response, call);
    } else if (!response.empty()) {
      throw malformed("the response to this challenge must be {}");
    } else if (challenge.state == ChallengeState::pending) {
      trigger(challenge, call);
    }
  }
  Reply reply = json_reply(200, challenge_json(challenge));
  add_link(reply, authz_url(*challenge.authz), "up");
  if (challenge.state == ChallengeState::processing) add_retry_after(reply);
  return reply;
}

Authz& AcmeServer::make_authz(Account& account, const Identifier& identifier, bool subdomains) {
  bool wildcard = identifier.value.starts_with("*.");
  Identifier bare(identifier.type, wildcard ? identifier.value.substr(2) : identifier.value);
  auto made = std::make_unique<Authz>(state_.random_id(), account, std::move(bare), wildcard);
  Authz& authz = *made;
  authz.expires = now() + options_.order_lifetime;
  authz.subdomains = subdomains;
  for (const ChallengeKind& kind : challenge_kinds) {
    if (!goes_with(kind, authz) || !is_offered(kind.type, authz)) continue;
    const std::string_view type = kind.type;
    const bool has_token =
        type != "dns-persist-01" && (type != "onion-csr-01" || options_.onion == TestCaOptions::Onion::token);
    std::string token = has_token ? state_.random_token() : std::string();
    authz.challenges.push_back(std::make_unique<Challenge>(state_.random_id(), kind.type, std::move(token), authz));
    if (type == "onion-csr-01" && !has_token) authz.challenges.back()->nonce = state_.random_octets(16);
    Challenge& challenge = *authz.challenges.back();
    state_.challenges[challenge.id] = &challenge;
  }
  state_.authzs[authz.id] = std::move(made);
  state_.reusable[{account.id, authz.identifier, authz.wildcard}] = &authz;
  return authz;
}

Authz& AcmeServer::authz_for_order(Account& account, const Identifier& identifier, bool subdomains) {
  bool wildcard = identifier.value.starts_with("*.");
  Identifier bare(identifier.type, wildcard ? identifier.value.substr(2) : identifier.value);
  auto latest = state_.reusable.find({account.id, bare, wildcard});
  if (latest != state_.reusable.end() && latest->second->subdomains >= subdomains) {
    Authz& authz = *latest->second;
    update(authz);
    bool is_valid = authz.state == AuthzState::valid;
    if (is_valid && faults_.reuse_authorizations) return authz;
    // RFC 8555 §7.4.1: an authorization made in advance serves later orders.
    if (authz.pre_authorized && (is_valid || authz.state == AuthzState::pending)) return authz;
  }
  // Several names of one order can have one ancestor: one authorization, pending as it is, serves for all.
  if (subdomains && latest != state_.reusable.end() && latest->second->subdomains &&
      latest->second->state == AuthzState::pending)
    return *latest->second;
  return make_authz(account, identifier, subdomains);
}

void AcmeServer::update(Authz& authz) {
  for (const auto& challenge : authz.challenges)
    if (challenge->outcome && challenge->outcome->at <= now()) finish(*challenge);
  bool can_expire = authz.state == AuthzState::pending || authz.state == AuthzState::valid;
  if (can_expire && authz.expires <= now()) authz.state = AuthzState::expired;
}

bool AcmeServer::is_offered(std::string_view type, const Authz& authz) const {
  // RFC 9799 §3.1: dns-01 is never for onion services, and the others would have to go through Tor.
  if (is_onion(authz.identifier)) return type == "onion-csr-01";
  if (type == "onion-csr-01") return false;
  if (type == "dns-account-01") return options_.dns_account;
  if (type == "dns-persist-01") return options_.dns_persist != TestCaOptions::DnsPersist::off;
  return true;
}

void AcmeServer::respond_to_onion(Challenge& challenge, const json::object& response, const Call& call) {
  const Bytes csr = required_base64url(response, "csr");
  if (challenge.state != ChallengeState::pending) return;
  if (challenge.authz->state != AuthzState::pending)
    throw malformed("the authorization is " + std::string(to_string(challenge.authz->state)) + ", not pending");
  challenge.state = ChallengeState::processing;
  const Identifier& identifier = challenge.authz->identifier;
  decide(challenge, challenge.token.empty() ? judge_onion_csr(csr, identifier, challenge.nonce)
                                            : judge_onion_csr_with_token(
                                                  csr, identifier, challenge.token + "." + call.account->thumbprint));
}

void AcmeServer::respond_to_token(Challenge& challenge, const json::object& response, const Call& call) {
  const std::string token = required_string(response, "tkauth");
  if (challenge.state != ChallengeState::pending) return;
  Authz& authz = *challenge.authz;
  if (authz.state != AuthzState::pending)
    throw malformed("the authorization is " + std::string(to_string(authz.state)) + ", not pending");
  challenge.state = ChallengeState::processing;
  TimePoint expires;
  const TokenJob job(authz.identifier, call.account->thumbprint, now());
  std::optional<Problem> failure = judge_authority_token(token, job, *token_authority_, expires);
  if (!failure) authz.token_expires = expires;
  decide(challenge, std::move(failure));
}

void AcmeServer::check_onion_names(const std::vector<Identifier>& identifiers) const {
  for (const Identifier& identifier : identifiers) {
    if (!is_onion(identifier)) continue;
    const std::string name = "\"" + identifier.value + "\" ";
    if (options_.onion == TestCaOptions::Onion::off)
      throw Refusal(400, "rejectedIdentifier",
                    name + "is a name of an onion service; this CA does not issue for those");
    if (!crypto::onion_public_key(identifier.value))
      throw Refusal(400, "rejectedIdentifier", name + "is no onion address of version 3");
    if (identifier.is_wildcard() && options_.onion == TestCaOptions::Onion::token)
      throw Refusal(400, "rejectedIdentifier", name + "is a wildcard, which this form of onion-csr-01 does not prove");
  }
}

std::string AcmeServer::account_hash_prefix() const {
  return options_.dns_persist == TestCaOptions::DnsPersist::account_hash ? url("/acme/account-hash/") : std::string();
}

void AcmeServer::trigger(Challenge& challenge, Call& call) {
  Authz& authz = *challenge.authz;
  if (authz.state != AuthzState::pending)
    throw malformed("the authorization is " + std::string(to_string(authz.state)) + ", not pending");
  challenge.state = ChallengeState::processing;

  std::string name = (authz.wildcard ? "*." : "") + authz.identifier.value;
  if (auto forced = forced_.find(name); forced != forced_.end()) {
    std::optional<Problem> failure;
    if (!forced->second) failure = make_problem(403, "incorrectResponse", "this validation was made to fail");
    return decide(challenge, failure);
  }
  if (options_.skip_validation) return decide(challenge, std::nullopt);
  if (options_.validate) return decide(challenge, ask_caller(challenge, call));
  auto validator = validators_.find(challenge.type);
  if (validator == validators_.end())
    return decide(challenge,
                  make_problem(500, "serverInternal", "this test CA has no validator for " + challenge.type + " yet"));

  // RFC 8555 §8.2: the key authorization is that of the account's key when the response arrives.
  ValidationJob job(challenge.type, authz.identifier, challenge.token,
                    challenge.token + "." + call.account->thumbprint);
  job.wildcard = authz.wildcard;
  job.account_url = account_url(*call.account);
  job.thumbprint = call.account->thumbprint;
  job.former_thumbprints = call.account->former_thumbprints;
  job.issuer_domain = options_.issuer_domain;
  job.account_hash_prefix = account_hash_prefix();
  job.now = std::chrono::floor<std::chrono::seconds>(now().time_since_epoch()).count();
  const Outside outside(*this, call);
  validator->second(job, [this, id = challenge.id](std::optional<Problem> failure) {
    std::lock_guard lock(mutex_);
    const auto found = state_.challenges.find(id);
    if (found != state_.challenges.end()) decide(*found->second, std::move(failure));
  });
}

std::optional<Problem> AcmeServer::ask_caller(const Challenge& challenge, Call& call) {
  TestCaValidation validation(challenge.authz->identifier);
  validation.wildcard = challenge.authz->wildcard;
  validation.type = challenge.type;
  validation.token = challenge.token;
  validation.key_authorization = challenge.token + "." + call.account->thumbprint;
  validation.account_url = account_url(*call.account);
  const Outside outside(*this, call);
  try {
    std::optional<std::string> failure = options_.validate(validation);
    if (!failure) return std::nullopt;
    return make_problem(403, "incorrectResponse", std::move(*failure));
  } catch (const std::exception& error) {
    return make_problem(500, "serverInternal", std::string("TestCaOptions::validate threw: ") + error.what());
  } catch (...) {
    return make_problem(500, "serverInternal", "TestCaOptions::validate threw");
  }
}

void AcmeServer::decide(Challenge& challenge, std::optional<Problem> failure) {
  if (challenge.state != ChallengeState::processing || challenge.outcome) return;
  challenge.outcome.emplace(now() + options_.validation_delay, std::move(failure));
  update(*challenge.authz);
}

void AcmeServer::finish(Challenge& challenge) {
  Authz& authz = *challenge.authz;
  const Challenge::Outcome outcome = *std::exchange(challenge.outcome, std::nullopt);
  challenge.error = outcome.failure;
  const bool stays_pending = outcome.failure && faults_.failed_challenge_stays_pending;
  if (stays_pending) {
    challenge.state = ChallengeState::pending;
    return;
  }
  challenge.state = outcome.failure ? ChallengeState::invalid : ChallengeState::valid;
  challenge.validated = outcome.at;
  if (authz.state != AuthzState::pending) return;  // deactivated or decided meanwhile
  if (challenge.state == ChallengeState::invalid) {
    authz.state = AuthzState::invalid;
    return;
  }
  authz.state = AuthzState::valid;
  authz.expires = outcome.at + (options_.authorization_lifetime_of ? options_.authorization_lifetime_of()
                                                                   : options_.authorization_lifetime);
  if (authz.token_expires) authz.expires = std::min(authz.expires, *authz.token_expires);
  authz.looks_pending = faults_.pending_polls;
}

json::object AcmeServer::challenge_json(const Challenge& challenge) const {
  ChallengeState state = challenge.state;
  if (state == ChallengeState::valid && challenge.authz->looks_pending > 0) state = ChallengeState::processing;
  json::object out{{"type", challenge.type}, {"url", challenge_url(challenge)}};
  if (!challenge.token.empty()) out["token"] = challenge.token;
  if (!challenge.nonce.empty()) out["nonce"] = base::base64_encode(challenge.nonce);
  if (challenge.type == "onion-csr-01" && !challenge.token.empty())
    out["authKey"] = challenge.authz->account->thumbprint;
  if (challenge.type == "tkauth-01") {
    out["tkauth-type"] = "atc";
    if (!options_.token_authority.empty()) out["token-authority"] = options_.token_authority;
  }
  if (challenge.type == "dns-persist-01") {
    const bool hashed = options_.dns_persist == TestCaOptions::DnsPersist::account_hash;
    out[hashed ? "issuerDomainNames" : "issuer-domain-names"] = json::array{json::value(options_.issuer_domain)};
    if (!hashed) out["accounturi"] = account_url(*challenge.authz->account);
  }
  out["status"] = to_string(state);
  if (state == ChallengeState::valid) out["validated"] = base::format_rfc3339(challenge.validated);
  if (challenge.error) out["error"] = to_json(*challenge.error);
  return out;
}

Reply AcmeServer::authz_reply(int status, const Authz& authz) const {
  AuthzState state = authz.state;
  if (state == AuthzState::valid && authz.looks_pending > 0) state = AuthzState::pending;
  json::array challenges;
  for (const auto& challenge : authz.challenges) {
    // RFC 8555 §7.1.4: all that are offered when pending, the validated one when valid, the failed one when invalid.
    if (state == AuthzState::valid && challenge->state != ChallengeState::valid) continue;
    if (state == AuthzState::invalid && challenge->state != ChallengeState::invalid) continue;
    challenges.push_back(challenge_json(*challenge));
  }
  json::object body{{"identifier", identifier_json(authz.identifier)},
                    {"status", to_string(state)},
                    {"expires", base::format_rfc3339(authz.expires)},
                    {"challenges", std::move(challenges)}};
  // "MUST be present and true for authorizations created as a result of a newOrder request containing" a wildcard.
  if (authz.wildcard) body["wildcard"] = true;
  if (authz.subdomains) body["subdomainAuthAllowed"] = true;
  Reply reply = json_reply(status, body);
  if (state == AuthzState::pending) add_retry_after(reply);
  return reply;
}

}  // namespace culmen::testca
