#include "culmen/authority_token.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/text.hpp"
#include "protocol/authorization.hpp"

namespace culmen {

namespace {
constexpr std::string_view answering = "answering tkauth-01";
constexpr std::string_view list_type = "TNAuthList";
constexpr std::size_t max_token = 64 * 1024;

/// Three parts in base64url: a JWS in compact form (RFC 7515 §7.1). No other character needs to be escaped in JSON.
bool is_compact_token(std::string_view text) {
  if (text.size() > max_token || std::ranges::count(text, '.') != 2) return false;
  for (;;) {
    const std::string_view part = text.substr(0, text.find('.'));
    if (part.empty() || !base::base64url_decode(part)) return false;
    if (part.size() == text.size()) return true;
    text.remove_prefix(part.size() + 1);
  }
}

}  // namespace

std::string authority_token_fingerprint(const AccountKey& key) {
  const std::string digits = base::hex_encode(*base::base64url_decode(key.thumbprint()));
  std::string text = "SHA256 ";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i % 2 == 0) text += ':';
    text += digits[i] >= 'a' ? static_cast<char>(digits[i] - 'a' + 'A') : digits[i];
  }
  return text;
}

std::string authority_token_request(const AccountKey& key, const Identifier& identifier, bool ca) {
  const bool good =
      identifier.type == list_type && !identifier.value.empty() && base::base64url_decode(identifier.value);
  if (!good) {
    throw Error(Errc::invalid_argument, "asking for an authority token",
                "\"" + printable(identifier.value, 80) + "\" of the type \"" + printable(identifier.type, 40) +
                    "\" is not a TNAuthList in base64url");
  }
  return R"({"tktype":"TNAuthList","tkvalue":")" + identifier.value + R"(","ca":)" + (ca ? "true" : "false") +
         R"(,"fingerprint":")" + authority_token_fingerprint(key) + "\"}";
}

std::string token_authority(const Challenge& challenge) {
  return protocol::challenge_text(challenge, "token-authority");
}

/// Shared with the calls, which may outlive the solver.
struct AuthorityTokenSolver::State {
  explicit State(GetToken get) : get_token(std::move(get)) {}
  const GetToken get_token;
  std::mutex mutex;
  std::map<std::string, std::string> tokens;  // by the challenge's URL
};

AuthorityTokenSolver::AuthorityTokenSolver(GetToken get_token)
    : state_(std::make_shared<State>(std::move(get_token))) {}

bool AuthorityTokenSolver::can_solve(const Identifier& identifier, bool) const { return identifier.type == list_type; }

Flow<Result<void>> AuthorityTokenSolver::present(ChallengeContext context) {
  const std::string kind = protocol::challenge_text(context.challenge, "tkauth-type");
  if (!kind.empty() && kind != "atc") {
    co_return Error(Errc::not_offered, answering,
                    "the CA requires a token of the type \"" + printable(kind, 60) + "\"; only \"atc\" is supported");
  }
  std::function<Result<void>()> get = [state = state_, context]() -> Result<void> {
    const std::string text = state->get_token(context);
    std::string token(base::trimmed(text));
    if (!is_compact_token(token)) {
      return Error(Errc::solver_failed, answering,
                   "the callback did not return a token but \"" + printable(token, 80) + "\"");
    }
    const std::lock_guard lock(state->mutex);
    state->tokens[context.challenge.url] = std::move(token);
    return {};
  };
  co_return co_await call(std::move(get));
}

Flow<Result<void>> AuthorityTokenSolver::cleanup(ChallengeContext context) {
  const std::lock_guard lock(state_->mutex);
  state_->tokens.erase(context.challenge.url);
  co_return Result<void>();
}

Result<std::string> AuthorityTokenSolver::response(const ChallengeContext& context) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->tokens.find(context.challenge.url);
  if (found == state_->tokens.end())
    return Error(Errc::solver_failed, answering, "there is no token: call present() first");
  return R"({"tkauth":")" + found->second + "\"}";
}

}  // namespace culmen
