#include "testca/jws_check.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include <boost/json/serialize.hpp>

#include "base/base64.hpp"
#include "culmen/private_key.hpp"
#include "jose/jwk.hpp"
#include "testca/json_reader.hpp"
#include "testca/problem.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

const std::vector<std::string>& accepted_algorithms() {
  static const std::vector<std::string> algorithms = [] {
    std::vector<std::string> list = {"ES256", "ES384", "ES512", "RS256", "EdDSA"};
    for (const char* name : {"ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}) {
      std::string type = std::string("ml-dsa-") + (name + 7);
      if (key_type_available(type)) list.emplace_back(name);
    }
    return list;
  }();
  return algorithms;
}

}  // namespace

Jws read_jws(const json::object& object, std::string_view what) {
  // RFC 8555 §6.2: flattened JSON serialization, no unprotected header, one signature.
  for (const auto& member : object)
    if (member.key() != "protected" && member.key() != "payload" && member.key() != "signature")
      throw malformed(std::string(what) + " has the member \"" + std::string(member.key()) +
                      "\"; only protected, payload and signature may be there");
  Jws jws;
  std::string protected_text = required_string(object, "protected");
  std::string payload_text = required_string(object, "payload");
  Bytes header = required_base64url(object, "protected");
  Bytes payload = required_base64url(object, "payload");
  jws.signature = required_base64url(object, "signature");
  if (jws.signature.empty()) throw malformed(std::string(what) + " has an empty signature");
  jws.header = read_object(as_text(header), std::string(what) + "'s protected header");
  for (const char* name : {"crit", "b64"})
    if (jws.header.contains(name))
      throw malformed(std::string(what) + ": the header parameter \"" + name + "\" is not supported");
  jws.alg = required_string(jws.header, "alg");
  jws.payload = std::string(as_text(payload));
  jws.signing_input = protected_text + "." + payload_text;
  return jws;
}

Jws read_signed_jws(const json::object& object, std::string_view what) {
  Jws jws = read_jws(object, what);
  const std::vector<std::string>& accepted = accepted_algorithms();
  if (std::ranges::find(accepted, jws.alg) == accepted.end()) {
    Refusal refusal(400, "badSignatureAlgorithm", "this CA does not accept the algorithm \"" + jws.alg + "\"");
    // RFC 8555 §6.2: "The problem document returned with the error MUST include an "algorithms" field".
    refusal.problem.algorithms = accepted;
    throw refusal;
  }
  return jws;
}

JwkKey read_jwk(const json::object& jwk) {
  auto key = jose::parse_public_jwk(json::serialize(jwk));
  if (!key) throw Refusal(400, "badPublicKey", std::string("the public key is not usable: ") + key.error().what());
  if (!is_acceptable_key(key->type()))
    throw Refusal(400, "badPublicKey", "this CA does not accept keys of type " + key->type());
  std::string thumbprint = jose::thumbprint(key->parts());
  return JwkKey(std::move(*key), std::move(thumbprint));
}

void verify_jws(const Jws& jws, const crypto::PublicKey& key, std::string_view what) {
  if (jws.alg != alg_of_key(key.type()))
    throw malformed(std::string(what) + ": the algorithm " + jws.alg + " does not fit a key of type " + key.type());
  if (!key.verify(jws.alg, as_bytes(jws.signing_input), jws.signature))
    throw malformed(std::string(what) + ": the signature does not verify");
}

std::string_view alg_of_key(std::string_view key_type) {
  if (key_type == "ec:P-256") return "ES256";
  if (key_type == "ec:P-384") return "ES384";
  if (key_type == "ec:P-521") return "ES512";
  if (key_type.starts_with("rsa:")) return "RS256";
  if (key_type == "ed25519" || key_type == "ed448") return "EdDSA";
  if (key_type == "ml-dsa-44") return "ML-DSA-44";
  if (key_type == "ml-dsa-65") return "ML-DSA-65";
  if (key_type == "ml-dsa-87") return "ML-DSA-87";
  return {};
}

bool is_acceptable_key(std::string_view key_type) {
  if (alg_of_key(key_type).empty()) return false;
  if (!key_type.starts_with("rsa:")) return true;
  int bits = 0;
  std::from_chars(key_type.data() + 4, key_type.data() + key_type.size(), bits);
  return bits >= 2048 && bits <= 8192;
}

}  // namespace culmen::testca
