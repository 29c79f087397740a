// Authority tokens (RFC 9447) for lists of telephone numbers (RFC 9448), the side of the CA.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crypto/key.hpp"
#include "culmen/identifier.hpp"
#include "culmen/problem.hpp"
#include "testca/state.hpp"

namespace culmen::testca {

/// From a public key in PEM; nullopt for an empty text. Throws Error (invalid_argument).
std::optional<crypto::PublicKey> read_token_authority(const std::string& pem);

/// Why the value of a TNAuthList identifier will not do (RFC 8226 §9); empty when it will.
std::string fault_of_tn_auth_list(const std::string& value);

/// What a token is held against.
struct TokenJob {
  TokenJob(Identifier identifier_, std::string thumbprint_, TimePoint now_)
      : identifier(std::move(identifier_)), thumbprint(std::move(thumbprint_)), now(now_) {}
  Identifier identifier;
  std::string thumbprint;  ///< Of the account's key.
  TimePoint now;
};

/// Whether the token, signed by `authority`, lets the account have the list: nullopt, or why not. Sets `expires`.
std::optional<Problem> judge_authority_token(const std::string& token, const TokenJob& job,
                                             const crypto::PublicKey& authority, TimePoint& expires);

}  // namespace culmen::testca
