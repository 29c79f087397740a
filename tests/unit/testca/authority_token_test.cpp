// tkauth-01 (RFC 9447, RFC 9448) at the test CA, with tokens made by hand.
#include "testca/authority_token.hpp"

#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/random.hpp"
#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "culmen/error.hpp"
#include "support/text.hpp"

using namespace culmen;
using namespace culmen::testca;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

const std::string list = "MAigBhYEMTIzNA";  // the service provider code 1234

const PrivateKey& authority() {
  static const PrivateKey key = PrivateKey::generate("ec:P-256");
  return key;
}

std::string compact(const json::object& header, const json::object& claims, const PrivateKey& key) {
  const std::string input =
      base::base64url_encode(json::serialize(header)) + "." + base::base64url_encode(json::serialize(claims));
  return input + "." + base::base64url_encode(key.sign(as_bytes(input)));
}

TestCaOptions trusting() {
  TestCaOptions options;
  options.token_authority_key = der_to_pem(authority().public_key_der(), "PUBLIC KEY");
  options.token_authority = "https://ta.example/";
  return options;
}

/// As an authority would write it: the SHA-256 of the key's JWK.
std::string fingerprint(const PrivateKey& key) {
  std::string text = "SHA256";
  for (const std::uint8_t octet : crypto::sha256(as_bytes(key.public_jwk()))) {
    std::string digits = base::hex_encode(Bytes{octet});
    for (char& c : digits) c = static_cast<char>(std::toupper(c));
    text += (text.size() == 6 ? " " : ":") + digits;
  }
  return text;
}

struct TokenBench {
  explicit TokenBench(TestCaOptions options = trusting()) : ca(std::move(options)), caller(ca.caller()) {
    caller.register_account();
  }
  std::int64_t in(std::chrono::seconds from_now) const {
    return std::chrono::floor<std::chrono::seconds>((ca.server.now() + from_now).time_since_epoch()).count();
  }
  json::object header() const { return {{"alg", "ES256"}, {"typ", "JWT"}, {"x5u", "https://ta.example/cert"}}; }
  json::object claims() const {
    return {
        {"exp", in(1h)},
        {"jti", "id6098364921"},
        {"atc",
         json::object{
             {"tktype", "TNAuthList"}, {"tkvalue", list}, {"ca", false}, {"fingerprint", fingerprint(caller.key)}}}};
  }
  json::object order(const std::string& value = list, const std::string& type = "TNAuthList") {
    const json::object asked{{"identifiers", json::array{json::object{{"type", type}, {"value", value}}}}};
    placed = caller.post(caller.url("/acme/new-order"), json::serialize(asked));
    return placed.status == 201 ? body_of(placed) : json::object();
  }
  json::object challenge(const json::object& order) {
    authz_url = std::string(order.at("authorizations").as_array().at(0).as_string());
    const json::array offered = body_of(caller.post(authz_url)).at("challenges").as_array();
    REQUIRE(offered.size() == 1);
    return offered.at(0).as_object();
  }
  /// What becomes of the authorization: "valid", or why not.
  std::string judged(const std::string& token) {
    const Reply reply =
        caller.post(text_at(challenge(order()), "url"), json::serialize(json::object{{"tkauth", token}}));
    if (reply.status != 200) return problem_of(reply);
    const json::object seen = body_of(reply);
    if (text_at(seen, "status") == "valid") return text_at(body_of(caller.post(authz_url)), "status");
    CHECK(text_at(body_of(caller.post(authz_url)), "status") == "invalid");
    const json::object& problem = seen.at("error").as_object();
    CHECK(text_at(problem, "type") == "urn:ietf:params:acme:error:incorrectResponse");
    return text_at(problem, "detail");
  }
  /// With one member of the claims, or of "atc", changed; null: left out.
  std::string with(const std::string& name, const json::value& value, bool in_atc = false) {
    json::object changed = claims();
    json::object& where = in_atc ? changed.at("atc").as_object() : changed;
    if (value.is_null())
      where.erase(name);
    else
      where[name] = value;
    return judged(compact(header(), changed, authority()));
  }
  InProcess ca;
  AcmeCaller caller;
  Reply placed;
  std::string authz_url;
};

}  // namespace

TEST_CASE("tkauth-01: the challenge, a token, and a certificate with the list") {
  TokenBench bench;
  const json::object order = bench.order();
  CHECK(order.at("identifiers") == json::array{json::object{{"type", "TNAuthList"}, {"value", list}}});
  const json::object challenge = bench.challenge(order);
  CHECK(text_at(challenge, "type") == "tkauth-01");
  CHECK(text_at(challenge, "tkauth-type") == "atc");
  CHECK(text_at(challenge, "token-authority") == "https://ta.example/");
  CHECK_FALSE(text_at(challenge, "token").empty());
  json::object claims = bench.claims();
  claims["exp"] = bench.in(24h);
  const std::string token = compact(bench.header(), claims, authority());
  const std::string response = json::serialize(json::object{{"tkauth", token}});
  CHECK(problem_of(bench.caller.post(text_at(challenge, "url"), "{}")) == "malformed 400");
  CHECK(text_at(body_of(bench.caller.post(text_at(challenge, "url"), response)), "status") == "valid");
  CHECK(bench.caller.post(text_at(challenge, "url"), response).status == 200);  // once more is no harm

  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const auto finalized = [&](const Bytes& csr) {
    return bench.caller.post(text_at(order, "finalize"),
                             json::serialize(json::object{{"csr", base::base64url_encode(csr)}}));
  };
  CHECK(problem_of(finalized(build_csr({"a.example"}, key))) == "badCSR 400");
  CHECK(problem_of(finalized(build_csr({Identifier("TNAuthList", "MAigBhYEMTIzNQ")}, key))) == "badCSR 400");
  CHECK(problem_of(finalized(build_csr({Identifier("TNAuthList", list), Identifier::dns("a.example")}, key))) ==
        "badCSR 400");
  CsrOptions options;
  options.jwt_claim_constraints = *base::hex_decode("3009a00730051603736873");
  const json::object done = body_of(finalized(build_csr({Identifier("TNAuthList", list)}, key, options)));
  const std::string pem = bench.caller.post(text_at(done, "certificate")).body;
  const Certificate leaf = Certificate::from_pem(pem);
  CHECK(leaf.matches(key));
  CHECK(leaf.identifiers == std::vector<Identifier>{Identifier("TNAuthList", list)});
  CHECK(leaf.subject_common_name.starts_with("subscriber "));
  // It does not outlive the token.
  CHECK(leaf.not_after == TimePoint(std::chrono::seconds(claims.at("exp").as_int64())));
  bool constrained = false;
  for (const crypto::OidValue& extension : crypto::certificate_extensions(leaf.der))
    constrained =
        constrained || (extension.oid == "1.3.6.1.5.5.7.1.27" && extension.value == options.jwt_claim_constraints);
  CHECK(constrained);
}

TEST_CASE("tkauth-01: tokens that will do") {
  TokenBench bench;
  CHECK(bench.judged(compact(bench.header(), bench.claims(), authority())) == "valid");
  CHECK(bench.with("tktype", "TnAuthList", true) == "valid");
  CHECK(bench.with("ca", nullptr, true) == "valid");
  CHECK(bench.with("exp", 1e10) == "valid");
  CHECK(bench.with("iss", "https://ta.example/") == "valid");
  CHECK(bench.judged(compact({{"alg", "ES256"}}, bench.claims(), authority())) == "valid");
}

TEST_CASE("tkauth-01: tokens of another key, another account, another list, another time") {
  TokenBench bench;
  CHECK(contains(bench.judged(compact(bench.header(), bench.claims(), PrivateKey::generate("ec:P-256"))),
                 "has not signed it"));
  CHECK(contains(bench.with("fingerprint", json::value(fingerprint(authority())), true), "key of another account"));
  CHECK(contains(bench.with("fingerprint", nullptr, true), "\"fingerprint\" is missing"));
  CHECK(contains(bench.with("tkvalue", "MAigBhYEMTIzNQ", true), "another list"));
  CHECK(contains(bench.with("tkvalue", nullptr, true), "\"tkvalue\" is missing"));
  CHECK(contains(bench.with("tktype", "DNS", true), "not TNAuthList"));
  CHECK(contains(bench.with("ca", true, true), "CA's certificate"));
  CHECK(contains(bench.with("ca", "no", true), "must be true or false"));
  CHECK(contains(bench.with("atc", nullptr), "no \"atc\""));
  CHECK(contains(bench.with("atc", "x"), "must be an object"));
  CHECK(contains(bench.with("jti", nullptr), "\"jti\" is missing"));
  CHECK(contains(bench.with("jti", ""), "\"jti\" is empty"));
  CHECK(contains(bench.with("exp", nullptr), "no \"exp\""));
  CHECK(contains(bench.with("exp", "tomorrow"), "no \"exp\""));
  CHECK(contains(bench.with("exp", -5), "no \"exp\""));
  CHECK(contains(bench.with("exp", bench.in(-1s)), "expired"));
  const std::string token = compact(bench.header(), bench.claims(), authority());
  bench.ca.server.advance_clock(2h);
  CHECK(contains(bench.judged(token), "expired"));
}

TEST_CASE("tkauth-01: what is no token") {
  TokenBench bench;
  const std::string token = compact(bench.header(), bench.claims(), authority());
  const auto header = [&](const json::object& changed) {
    return bench.judged(compact(changed, bench.claims(), authority()));
  };
  CHECK(contains(header({{"alg", "none"}}), "\"alg\""));
  CHECK(contains(header({{"alg", "ES384"}}), "\"alg\""));
  CHECK(contains(header({{"typ", "JWT"}}), "\"alg\" is missing"));
  CHECK(contains(header({{"alg", "ES256"}, {"crit", json::array{"x"}}}), "crit"));
  CHECK(contains(bench.judged(token.substr(0, token.rfind('.'))), "three parts"));
  CHECK(contains(bench.judged(token + ".x"), "three parts"));
  CHECK(contains(bench.judged("x"), "three parts"));
  CHECK(contains(bench.judged(token + "="), "base64url"));
  CHECK(contains(bench.judged(token.substr(0, token.rfind('.') + 1)), "has not signed"));
  CHECK(contains(bench.judged("YQ.YQ.YQ"), "its header is not JSON"));
  CHECK(problem_of(bench.caller.post(text_at(bench.challenge(bench.order()), "url"), R"({"tkauth":7})")) ==
        "malformed 400");
}

TEST_CASE("tkauth-01: an authorization lasts no longer than its token") {
  TokenBench bench;
  CHECK(bench.judged(compact(bench.header(), bench.claims(), authority())) == "valid");
  bench.ca.server.advance_clock(61min);
  CHECK(text_at(body_of(bench.caller.post(bench.authz_url)), "status") == "expired");
}

TEST_CASE("TNAuthList: identifiers that are none, and CAs that do not have them") {
  TokenBench bench;
  for (const char* bad : {"", "MAig=", "AAAA", "MAA", "MAmgBhYEMTIzNA", "MAijBhYEMTIzNA", "MIAw", "MIQAAAAA"}) {
    CAPTURE(bad);
    bench.order(bad);
    CHECK(problem_of(bench.placed) == "malformed 400");
  }
  TokenBench without((TestCaOptions()));
  without.order();
  CHECK(problem_of(without.placed) == "unsupportedIdentifier 400");
  TestCaOptions silent = trusting();
  silent.token_authority.clear();
  TokenBench other(silent);
  CHECK_FALSE(other.challenge(other.order()).contains("token-authority"));

  // A list is longer than 127 octets soon.
  Bytes der = {0x30, 0x81, 0x83, 0xa2, 0x81, 0x80, 0x16, 0x7e};
  der.insert(der.end(), 126, 0x31);
  CHECK(fault_of_tn_auth_list(base::base64url_encode(der)).empty());
}

TEST_CASE("TNAuthList: the authority's key") {
  CHECK_FALSE(read_token_authority("").has_value());
  CHECK(read_token_authority(der_to_pem(authority().public_key_der(), "PUBLIC KEY"))->to_der() ==
        authority().public_key_der());
  CHECK_THROWS_AS(read_token_authority("x"), Error);
  CHECK_THROWS_AS(read_token_authority(authority().to_pem()), Error);
}

TEST_CASE("CSRs with telephone numbers nobody ordered") {
  TokenBench bench;
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const json::object order = body_of(bench.caller.new_order({"a.example"}));
  bench.caller.answer_challenges(order);
  const auto finalized = [&](const std::vector<Identifier>& names, const CsrOptions& options = {}) {
    return bench.caller.post(
        text_at(order, "finalize"),
        json::serialize(json::object{{"csr", base::base64url_encode(build_csr(names, key, options))}}));
  };
  CHECK(problem_of(finalized({Identifier::dns("a.example"), Identifier("TNAuthList", list)})) == "badCSR 400");
  CsrOptions options;
  options.jwt_claim_constraints = *base::hex_decode("3009a00730051603736873");
  CHECK(problem_of(finalized({Identifier::dns("a.example")}, options)) == "badCSR 400");
}
