#include "culmen/blocking/authorization.hpp"

#include <algorithm>
#include <utility>

#include "base/base64.hpp"
#include "crypto/random.hpp"
#include "engine/orders.hpp"

namespace culmen::blocking {

namespace {
/// RFC 8555 §8.3: "It MUST NOT contain any characters outside the base64url alphabet". Only such a token is a file
/// name.
bool is_base64url(std::string_view token) {
  return !token.empty() && std::ranges::all_of(token, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}
}  // namespace

// ---- Challenge ----

ChallengeHandle::ChallengeHandle(AccountHandle account, std::string authorization_url, Challenge challenge)
    : account_(std::move(account)),
      authorization_url_(std::move(authorization_url)),
      challenge_(std::move(challenge)) {}

std::string ChallengeHandle::http_token() const {
  if (!is_base64url(challenge_.token)) {
    throw Error(Errc::bad_response, "reading a " + printable(challenge_.type, 60) + " challenge",
                challenge_.token.empty() ? "it has no token" : "its token has characters that no token may have");
  }
  return challenge_.token;
}

std::string ChallengeHandle::http_proof() const { return key_authorization(); }

std::string ChallengeHandle::dns_proof() const {
  return base::base64url_encode(crypto::sha256(as_bytes(key_authorization())));
}

std::array<std::uint8_t, 32> ChallengeHandle::tls_alpn_proof() const {
  std::array<std::uint8_t, 32> proof{};
  std::ranges::copy(crypto::sha256(as_bytes(key_authorization())), proof.begin());
  return proof;
}

bool ChallengeHandle::need_validate() const noexcept { return challenge_.status != ChallengeStatus::valid; }

void ChallengeHandle::validate(std::chrono::milliseconds delay, std::chrono::seconds limit, CancelToken cancel) const {
  if (!need_validate()) return;
  const AcmeClient& client = account_.client();
  const Account& account = account_.api_account();
  // A challenge that the CA is at, or through with, is not triggered again.
  if (challenge_.status == ChallengeStatus::pending) client.trigger_challenge(account, challenge_, "{}", cancel);
  client.run(
      engine::poll_authorization_with(client.session(), account, authorization_url_, engine::PollOptions(delay, limit)),
      cancel);
}

std::string ChallengeHandle::key_authorization() const {
  return account_.api_account().key_authorization(http_token());
}

// ---- Auth ----

Auth::Auth(AccountHandle account, Authorization authorization)
    : account_(std::move(account)), authorization_(std::move(authorization)) {}

bool Auth::need_challenge() const noexcept { return authorization_.status != AuthorizationStatus::valid; }

ChallengeHandle Auth::challenge(const std::string& type) const {
  return ChallengeHandle(account_, authorization_.url, authorization_.challenge(type));
}

}  // namespace culmen::blocking
