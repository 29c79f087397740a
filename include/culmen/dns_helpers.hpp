// The DNS records for dns-01, dns-account-01 and dns-persist-01. All functions are pure: nothing here accesses the DNS.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/authorization.hpp"
#include "culmen/directory.hpp"

namespace culmen {

/// Records for dns-01 (RFC 8555 §8.4). Only static functions, which throw no Error.
class Dns01Helper {
 public:
  /// "_acme-challenge." and the name without "*.".
  static std::string record_name(std::string_view domain);
  /// base64url(SHA-256(key authorization)), 43 characters.
  static std::string txt_value(std::string_view key_authorization);
};

/// Records for dns-account-01 (draft-ietf-acme-dns-account-label): each account has its own record name. Only static
/// functions, which throw no Error.
class DnsAccount01Helper {
 public:
  /// "_<label>._acme-challenge." and the name without "*.".
  static std::string record_name(std::string_view account_url, std::string_view domain);
  static std::string txt_value(std::string_view key_authorization) { return Dns01Helper::txt_value(key_authorization); }
};

/// Records for dns-persist-01 (draft-ietf-acme-dns-persist): one record for an account, which stays. Only static
/// functions.
class DnsPersist01Helper {
 public:
  /// "_validation-persist." and the name without "*.".
  static std::string record_name(std::string_view domain);

  /// What the record allows. A plain value.
  struct Options {
    bool wildcard = false;  ///< policy=wildcard: subdomains and wildcards too.
    std::optional<std::chrono::system_clock::time_point> persist_until{};  ///< UNIX seconds in the record.
    bool bind_domain = true;  ///< Draft -02 only. False: one value for every domain ("*").
  };
  /// The value that servers check, in the form of the draft that the challenge follows (drafts -00 and -01: the account
  /// URL; draft -02: a hash of it). Throws Error (bad_response) if the challenge's issuer list is malformed;
  /// (not_offered) if the challenge follows draft -02 and the directory has no accountHashPrefix.
  static std::string record_value(const Challenge& challenge, const Directory& directory, std::string_view account_url,
                                  std::string_view thumbprint, std::string_view domain, const Options& options);
  static std::string record_value(const Challenge& challenge, const Directory& directory, std::string_view account_url,
                                  std::string_view thumbprint, std::string_view domain) {
    return record_value(challenge, directory, account_url, thumbprint, domain, Options());
  }

  /// The same value as for dns-01, for programs written for that interface. No known server checks it.
  static std::string txt_value(std::string_view key_authorization) { return Dns01Helper::txt_value(key_authorization); }
};

/// A TXT value split into DNS character-strings of at most 255 octets (RFC 1035 §3.3).
std::vector<std::string> txt_strings(std::string_view value);

}  // namespace culmen
