// tkauth-01: authority tokens (RFC 9447) for lists of telephone numbers (RFC 9448).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "culmen/account_key.hpp"
#include "culmen/authorization.hpp"
#include "culmen/identifier.hpp"
#include "culmen/solver.hpp"

namespace culmen {

/// The fingerprint by which a token names its account (RFC 9448 §5.4): "SHA256 " and the key's thumbprint as "AA:BB:…".
std::string authority_token_fingerprint(const AccountKey& key);

/// The JSON to post to the token authority (RFC 9448 §5.5); the response is `{"token": …}`. Set `ca` to request a token
/// for a CA certificate. Throws Error (invalid_argument) if the identifier is not a TNAuthList.
std::string authority_token_request(const AccountKey& key, const Identifier& identifier, bool ca = false);

/// The URL of the token authority that the challenge suggests (RFC 9447 §3); empty if it suggests none.
std::string token_authority(const Challenge& challenge);

/// Solves tkauth-01 for identifiers of type TNAuthList, with tokens that a callback obtains. Thread-safe. Must outlive
/// the calls that use it.
class AuthorityTokenSolver final : public ChallengeSolver {
 public:
  /// Returns the token in compact form, "header.claims.signature"; surrounding white space is ignored.
  using GetToken = std::function<std::string(const ChallengeContext& context)>;

  /// `get_token` may block and throw. The blocking client calls it on the calling thread, the Asio client on a thread
  /// of the client. Calls from different clients or threads may overlap.
  explicit AuthorityTokenSolver(GetToken get_token);

  std::string_view type() const noexcept override { return "tkauth-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  /// Obtains the token. Error (not_offered) if the challenge requires a token type other than "atc"; (solver_failed) if
  /// the callback fails or does not return a token.
  Flow<Result<void>> present(ChallengeContext context) override;
  /// Forgets the token.
  Flow<Result<void>> cleanup(ChallengeContext context) override;
  /// `{"tkauth": token}`. Error (solver_failed) before present() and after cleanup().
  Result<std::string> response(const ChallengeContext& context) const override;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace culmen
