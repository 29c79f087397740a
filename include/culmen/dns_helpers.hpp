// What to put into the DNS for dns-01, dns-account-01 and dns-persist-01; nothing here touches the DNS.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/authorization.hpp"
#include "culmen/directory.hpp"

namespace culmen {

/// dns-01 (RFC 8555 §8.4).
class Dns01Helper {
 public:
  /// "_acme-challenge." and the name without "*.".
  static std::string record_name(std::string_view domain);
  /// base64url(SHA-256(key authorization)): always 43 characters.
  static std::string txt_value(std::string_view key_authorization);
};

/// dns-account-01 (draft-ietf-acme-dns-account-label): a record of its own for each account.
class DnsAccount01Helper {
 public:
  /// "_<label>._acme-challenge." and the name without "*.".
  static std::string record_name(std::string_view account_url, std::string_view domain);
  static std::string txt_value(std::string_view key_authorization) { return Dns01Helper::txt_value(key_authorization); }
};

/// dns-persist-01 (draft-ietf-acme-dns-persist): set once for an account, kept.
class DnsPersist01Helper {
 public:
  /// "_validation-persist." and the name without "*.".
  static std::string record_name(std::string_view domain);

  struct Options {
    bool wildcard = false;  ///< policy=wildcard: sub-names and wildcards too.
    std::optional<std::chrono::system_clock::time_point> persist_until{};  ///< As UNIX seconds in the record.
    bool bind_domain = true;  ///< Dialect C only: false makes one value good for every domain ("*").
  };
  /// The value that servers check, in the dialect that the challenge speaks (drafts -00/-01: the account's URL; draft
  /// -02: a hash of it). Throws Error (bad_response) when the challenge's issuer list is malformed, (not_offered) when
  /// draft -02 is asked for and the directory lacks accountHashPrefix.
  static std::string record_value(const Challenge& challenge, const Directory& directory, std::string_view account_url,
                                  std::string_view thumbprint, std::string_view domain, const Options& options);
  static std::string record_value(const Challenge& challenge, const Directory& directory, std::string_view account_url,
                                  std::string_view thumbprint, std::string_view domain) {
    return record_value(challenge, directory, account_url, thumbprint, domain, Options());
  }

  /// The first seed's form, the same as dns-01's. No server known checks it; it is here for programs written to that
  /// interface.
  static std::string txt_value(std::string_view key_authorization) { return Dns01Helper::txt_value(key_authorization); }
};

/// A TXT value cut into the character-strings of at most 255 octets that DNS has.
std::vector<std::string> txt_strings(std::string_view value);

}  // namespace culmen
