// tkauth-01: authority tokens (RFC 9447) for lists of telephone numbers (RFC 9448).
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "culmen/account_key.hpp"
#include "culmen/authorization.hpp"
#include "culmen/identifier.hpp"
#include "culmen/solver.hpp"

namespace culmen {

/// How a token names the account it is for (RFC 9448 §5.4): "SHA256 ", and the key's thumbprint as "AA:BB:…".
std::string authority_token_fingerprint(const AccountKey& key);

/// What to post to the token authority (RFC 9448 §5.5), as JSON; its answer is `{"token": …}`. With `ca` the token is
/// to be good for a CA's certificate. Throws Error (invalid_argument) unless the identifier is a TNAuthList.
std::string authority_token_request(const AccountKey& key, const Identifier& identifier, bool ca = false);

/// The URL of the token authority that the CA proposes in its challenge (RFC 9447 §3); empty: that is for us to know.
std::string token_authority(const Challenge& challenge);

/// Solves tkauth-01 with tokens that a function gets, whichever way the token authority hands them out. Only for
/// identifiers of the type TNAuthList.
class AuthorityTokenSolver final : public ChallengeSolver {
 public:
  /// The token in the compact form, "header.claims.signature"; white space around it does no harm.
  using GetToken = std::function<std::string(const ChallengeContext& context)>;

  /// `get_token` may block and throw, and may run for several challenges at the same time.
  explicit AuthorityTokenSolver(GetToken get_token) : get_token_(std::move(get_token)) {}

  std::string_view type() const noexcept override { return "tkauth-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  /// Gets the token. Error (not_offered) when the challenge wants another kind of token than "atc", (solver_failed)
  /// when what the function returned is no token.
  Flow<Result<void>> present(ChallengeContext context) override;
  /// Forgets the token.
  Flow<Result<void>> cleanup(ChallengeContext context) override;
  /// `{"tkauth": token}`. Error (solver_failed) before present().
  Result<std::string> response(const ChallengeContext& context) const override;

 private:
  const GetToken get_token_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> tokens_;  ///< By the challenge's URL.
};

}  // namespace culmen
