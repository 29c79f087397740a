#include "culmen/dns_helpers.hpp"

#include <algorithm>
#include <cctype>

#include "base/base64.hpp"
#include "base/name.hpp"
#include "base/text.hpp"
#include "crypto/random.hpp"
#include "protocol/json_reader.hpp"

namespace culmen {

namespace {
namespace json = boost::json;

constexpr std::size_t max_issuers = 10;
constexpr std::size_t longest_string = 255;

std::string without_wildcard(std::string_view domain) {
  if (domain.starts_with("*.")) domain.remove_prefix(2);
  if (domain.ends_with('.')) domain.remove_suffix(1);
  return base::to_lower(domain);
}

/// What a dns-persist-01 challenge says, whichever draft it follows.
struct PersistChallenge {
  std::vector<std::string> issuers;
  bool hashed = false;  ///< Draft -02.
};

PersistChallenge read_persist_challenge(const Challenge& challenge) {
  constexpr std::string_view doing = "reading a dns-persist-01 challenge";
  Result<json::object> object = protocol::parse_object(challenge.json, doing);
  if (!object) throw object.error();
  PersistChallenge read;
  read.hashed = object->contains("issuerDomainNames");
  read.issuers = protocol::texts_member(*object, read.hashed ? "issuerDomainNames" : "issuer-domain-names");
  if (read.issuers.empty() || read.issuers.size() > max_issuers) {
    throw Error(Errc::bad_response, doing,
                "it must name one to ten issuers, and names " + std::to_string(read.issuers.size()));
  }
  for (const std::string& issuer : read.issuers) {
    const Result<std::string> canonical = base::canonical_dns_name(issuer);
    if (!canonical || *canonical != issuer) {
      throw Error(Errc::bad_response, doing, "an issuer is not a domain name in lower case: " + printable(issuer, 100));
    }
  }
  return read;
}

const std::string& chosen_issuer(const std::vector<std::string>& issuers, const Directory& directory) {
  for (const std::string& identity : directory.meta.caa_identities) {
    const auto found = std::ranges::find(issuers, identity);
    if (found != issuers.end()) return *found;
  }
  return issuers.front();
}

/// Draft -02: the account's URL, its key and the domain, hashed together.
std::string account_hash(const std::string& prefix, std::string_view domain, std::string_view thumbprint,
                         std::string_view account_url) {
  std::string input(1, static_cast<char>(domain.size()));
  input.append(domain).append(thumbprint).append(account_url);
  return prefix + "sha-256/" + base::base64url_encode(crypto::sha256(as_bytes(input)));
}
}  // namespace

std::string Dns01Helper::record_name(std::string_view domain) { return "_acme-challenge." + without_wildcard(domain); }

std::string Dns01Helper::txt_value(std::string_view key_authorization) {
  return base::base64url_encode(crypto::sha256(as_bytes(key_authorization)));
}

std::string DnsAccount01Helper::record_name(std::string_view account_url, std::string_view domain) {
  const Bytes digest = crypto::sha256(as_bytes(account_url));
  return "_" + base::base32_encode_lower(ByteView(digest).first(10)) + "._acme-challenge." + without_wildcard(domain);
}

std::string DnsPersist01Helper::record_name(std::string_view domain) {
  return "_validation-persist." + without_wildcard(domain);
}

std::string DnsPersist01Helper::record_value(const Challenge& challenge, const Directory& directory,
                                             std::string_view account_url, std::string_view thumbprint,
                                             std::string_view domain, const Options& options) {
  const PersistChallenge read = read_persist_challenge(challenge);
  std::string account(account_url);
  if (read.hashed) {
    if (directory.meta.account_hash_prefix.empty()) {
      throw Error(Errc::not_offered, "making a dns-persist-01 record",
                  "the challenge requires a hashed account, but the CA's directory has no accountHashPrefix");
    }
    const std::string name = options.bind_domain ? without_wildcard(domain) : "*";
    account = account_hash(directory.meta.account_hash_prefix, name, thumbprint, account_url);
  }
  std::string value = chosen_issuer(read.issuers, directory) + "; accounturi=" + account;
  if (options.wildcard) value += "; policy=wildcard";
  if (options.persist_until) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(options.persist_until->time_since_epoch());
    value += "; persistUntil=" + std::to_string(seconds.count());
  }
  return value;
}

std::vector<std::string> txt_strings(std::string_view value) {
  std::vector<std::string> strings;
  do {
    strings.emplace_back(value.substr(0, longest_string));
    value.remove_prefix(std::min(longest_string, value.size()));
  } while (!value.empty());
  return strings;
}

}  // namespace culmen
