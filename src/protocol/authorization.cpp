#include "protocol/authorization.hpp"

#include <algorithm>

#include "protocol/json_reader.hpp"

namespace culmen {

std::string_view to_string(ChallengeStatus status) noexcept {
  switch (status) {
    case ChallengeStatus::pending: return "pending";
    case ChallengeStatus::processing: return "processing";
    case ChallengeStatus::valid: return "valid";
    case ChallengeStatus::invalid: return "invalid";
    case ChallengeStatus::unknown: return "unknown";
  }
  return "unknown";
}

std::string_view to_string(AuthorizationStatus status) noexcept {
  switch (status) {
    case AuthorizationStatus::pending: return "pending";
    case AuthorizationStatus::valid: return "valid";
    case AuthorizationStatus::invalid: return "invalid";
    case AuthorizationStatus::deactivated: return "deactivated";
    case AuthorizationStatus::expired: return "expired";
    case AuthorizationStatus::revoked: return "revoked";
    case AuthorizationStatus::unknown: return "unknown";
  }
  return "unknown";
}

const Challenge* Authorization::find_challenge(std::string_view type) const noexcept {
  const auto found = std::ranges::find(challenges, type, &Challenge::type);
  return found == challenges.end() ? nullptr : &*found;
}

const Challenge& Authorization::challenge(std::string_view type) const {
  if (const Challenge* found = find_challenge(type)) return *found;
  std::string offered;
  for (const Challenge& challenge : challenges)
    offered += (offered.empty() ? "" : ", ") + printable(challenge.type, 60);
  throw Error(Errc::not_offered, "choosing a challenge for " + printable(identifier.value, 260),
              "the CA does not offer " + std::string(type) + "; it offers " + (offered.empty() ? "none" : offered));
}

}  // namespace culmen

namespace culmen::protocol {

namespace {
constexpr std::string_view reading_authorization = "reading an authorization";

template <class Status>
Status read_known_status(std::string_view text, std::initializer_list<Status> known) {
  for (const Status status : known) {
    if (to_string(status) == text) return status;
  }
  return Status::unknown;
}

ChallengeStatus read_challenge_status(std::string_view text) {
  if (text.empty()) return ChallengeStatus::pending;  // RFC 8555's own example of an authorization leaves it out.
  return read_known_status(
      text, {ChallengeStatus::pending, ChallengeStatus::processing, ChallengeStatus::valid, ChallengeStatus::invalid});
}

Challenge read_challenge(const json::object& object, const HttpResponse& response) {
  Challenge challenge;
  challenge.type = text_member(object, "type");
  challenge.url = absolute_url(response, text_member(object, "url"));
  challenge.status = read_challenge_status(text_member(object, "status"));
  challenge.token = text_member(object, "token");
  challenge.error = problem_member(object, "error");
  challenge.validated = time_member(object, "validated");
  challenge.json = json::serialize(object);
  return challenge;
}
}  // namespace

std::string new_authorization_payload(const Identifier& identifier, bool subdomains) {
  json::object entry;
  entry["type"] = identifier.type;
  entry["value"] = identifier.value;
  if (subdomains) entry["subdomainAuthAllowed"] = true;
  json::object payload;
  payload["identifier"] = std::move(entry);
  return json::serialize(payload);
}

Result<Authorization> parse_authorization(const HttpResponse& response, std::string url, TimePoint now) {
  if (url.empty()) {
    std::optional<std::string> where = location(response);
    if (!where)
      return Error(Errc::bad_response, reading_authorization, "the answer has no Location: its URL is not known");
    url = std::move(*where);
  }
  Result<json::object> object = parse_object(response.body, reading_authorization);
  if (!object) return object.error();

  Authorization authorization;
  authorization.url = std::move(url);
  authorization.identifier = identifier_member(*object, "identifier").value_or(Identifier());
  authorization.wildcard = flag_member(*object, "wildcard");
  authorization.subdomain_auth_allowed = flag_member(*object, "subdomainAuthAllowed");
  authorization.status =
      read_known_status(text_member(*object, "status"),
                        {AuthorizationStatus::pending, AuthorizationStatus::valid, AuthorizationStatus::invalid,
                         AuthorizationStatus::deactivated, AuthorizationStatus::expired, AuthorizationStatus::revoked});
  authorization.expires = time_member(*object, "expires");
  if (const json::array* challenges = array_member(*object, "challenges")) {
    for (const json::value& value : *challenges) {
      const json::object* challenge = value.if_object();
      // Only type and url are needed of a challenge; what lacks them is of no use to anyone.
      if (!challenge || text_member(*challenge, "type").empty() || text_member(*challenge, "url").empty()) continue;
      authorization.challenges.push_back(read_challenge(*challenge, response));
    }
  }
  authorization.retry_after = retry_after(response, now);
  return authorization;
}

Challenge challenge_after_trigger(const HttpResponse& response, const Challenge& asked) {
  Challenge challenge;
  if (Result<json::object> object = parse_object(response.body, "")) {
    challenge = read_challenge(*object, response);
  } else {
    challenge.status = ChallengeStatus::unknown;
  }
  if (challenge.type.empty()) challenge.type = asked.type;
  if (challenge.url.empty()) challenge.url = asked.url;
  if (challenge.token.empty()) challenge.token = asked.token;
  return challenge;
}

std::string challenge_text(const Challenge& challenge, std::string_view member) {
  const Result<json::object> object = parse_object(challenge.json, "reading a challenge");
  return object ? text_member(*object, member) : std::string();
}

std::vector<Problem> problems_of(const Authorization& authorization) {
  std::vector<Problem> problems;
  for (const Challenge& challenge : authorization.challenges) {
    if (!challenge.error) continue;
    Problem problem = *challenge.error;
    if (!problem.identifier) problem.identifier = authorization.identifier;
    problems.push_back(std::move(problem));
  }
  return problems;
}

}  // namespace culmen::protocol
