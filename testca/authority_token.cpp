#include "testca/authority_token.hpp"

#include <algorithm>

#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "base/text.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "testca/json_reader.hpp"
#include "testca/jws_check.hpp"
#include "testca/problem.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

Problem incorrect_token(const std::string& why) {
  return make_problem(403, "incorrectResponse", "the authority token will not do: " + why);
}

/// RFC 9448 §5.4: "SHA256", and the octets of the thumbprint in hexadecimal with colons between them.
std::string fingerprint_of(std::string_view thumbprint) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const Bytes octets = base::base64url_decode(thumbprint).value();
  std::string text;
  for (const std::uint8_t octet : octets) {
    text += text.empty() ? "SHA256 " : ":";
    text += digits[octet >> 4];
    text += digits[octet & 15];
  }
  return text;
}

/// Where the content of the DER value at `at` begins and ends; nullopt when it does not fit into `der`.
struct Extent {
  std::size_t begin, end;
};
std::optional<Extent> content_at(const Bytes& der, std::size_t at) {
  if (at + 2 > der.size()) return std::nullopt;
  std::size_t begin = at + 2, length = der[at + 1];
  if (length >= 0x80) {
    const std::size_t octets = length & 0x7f;
    if (octets == 0 || octets > 2 || begin + octets > der.size()) return std::nullopt;
    length = 0;
    for (std::size_t i = 0; i < octets; ++i) length = length << 8 | der[begin + i];
    begin += octets;
  }
  if (length > der.size() - begin) return std::nullopt;
  return Extent{begin, begin + length};
}

/// The token's claims, once its signature is known to be the authority's. Throws Refusal.
json::object verified_claims(const std::string& token, const crypto::PublicKey& authority) {
  const std::size_t first = token.find('.'), second = token.find('.', first + 1);
  const bool three =
      first != std::string::npos && second != std::string::npos && token.find('.', second + 1) == std::string::npos;
  if (!three) throw malformed("it does not have the three parts of a JWS in compact form");
  const auto header_text = base::base64url_decode(token.substr(0, first));
  const auto claims_text = base::base64url_decode(token.substr(first + 1, second - first - 1));
  const auto signature = base::base64url_decode(token.substr(second + 1));
  if (!header_text || !claims_text || !signature) throw malformed("a part of it is not base64url");
  const json::object header = read_object(as_text(*header_text), "its header");
  if (header.contains("crit")) throw malformed("its header has \"crit\"");
  const std::string alg = required_string(header, "alg");
  if (alg != alg_of_key(authority.type())) throw malformed("its \"alg\" is not that of the authority's key");
  if (!authority.verify(alg, as_bytes(std::string_view(token).substr(0, second)), *signature))
    throw malformed("the trusted token authority has not signed it");
  return read_object(as_text(*claims_text), "its claims");
}

TimePoint expiry_of(const json::object& claims) {
  const json::value* exp = claims.if_contains("exp");
  boost::system::error_code failure;
  const std::int64_t seconds = exp && exp->is_number() ? exp->to_number<std::int64_t>(failure) : -1;
  constexpr std::int64_t last = std::int64_t{1} << 33;  // the year 2242
  if (failure || seconds < 0) throw malformed("it has no \"exp\"");
  return TimePoint(std::chrono::seconds(std::min(seconds, last)));
}

}  // namespace

std::optional<crypto::PublicKey> read_token_authority(const std::string& pem) {
  if (pem.empty()) return std::nullopt;
  constexpr const char* doing = "reading the public key of the token authority";
  const std::vector<Bytes> blocks = pem_to_der(pem);
  if (blocks.size() != 1) throw Error(Errc::invalid_argument, doing, "it is not one block of PEM");
  try {
    return crypto::PublicKey::from_der(blocks[0]);
  } catch (const Error& error) {
    throw Error(Errc::invalid_argument, doing, error.what());
  }
}

std::string fault_of_tn_auth_list(const std::string& value) {
  const auto der = base::base64url_decode(value);
  if (!der) return "is not base64url without padding";
  const std::optional<Extent> list = content_at(*der, 0);
  if (!list || (*der)[0] != 0x30 || list->end != der->size()) return "is not a TNAuthorizationList in DER";
  if (list->begin == list->end) return "is an empty TNAuthorizationList";
  for (std::size_t at = list->begin; at < list->end;) {
    // A service provider code, a range of numbers, or one number.
    const std::optional<Extent> entry = content_at(*der, at);
    const std::uint8_t tag = (*der)[at];
    if (!entry || tag < 0xa0 || tag > 0xa2) return "has an entry that is none of a TNAuthorizationList";
    at = entry->end;
  }
  return {};
}

std::optional<Problem> judge_authority_token(const std::string& token, const TokenJob& job,
                                             const crypto::PublicKey& authority, TimePoint& expires) {
  try {
    const json::object claims = verified_claims(token, authority);
    expires = expiry_of(claims);
    if (expires <= job.now) return incorrect_token("it has expired");
    if (required_string(claims, "jti").empty()) return incorrect_token("its \"jti\" is empty");
    const json::object* atc = object_member(claims, "atc");
    if (!atc) return incorrect_token("it has no \"atc\"");
    // The registry has "TNAuthList", an example of RFC 9447 "TnAuthList".
    if (base::to_lower(required_string(*atc, "tktype")) != "tnauthlist")
      return incorrect_token("its \"tktype\" is not TNAuthList");
    if (required_string(*atc, "tkvalue") != job.identifier.value) return incorrect_token("it is for another list");
    if (required_string(*atc, "fingerprint") != fingerprint_of(job.thumbprint))
      return incorrect_token("it is for the key of another account");
    // RFC 9448 §5.4: "ca" is true only where a CA's certificate is asked for; this CA issues none.
    if (bool_member(*atc, "ca").value_or(false)) return incorrect_token("it is for a CA's certificate");
    return std::nullopt;
  } catch (const Refusal& refusal) {
    return incorrect_token(refusal.problem.detail);
  }
}

}  // namespace culmen::testca
