// onion-csr-01: CSRs byte by byte, keys from files, CAA.
#include <doctest/doctest.h>

#include <string>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/ca.hpp"
#include "solvers/onion.hpp"
#include "support/text.hpp"
#include "unit/jose/vectors.hpp"

using namespace culmen;

namespace {

const std::string k1_address = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion";
const std::string key_authorization =
    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

const std::string rfc_csr =
    "MIGxMGUCAQAwADAqMAUGAytlcAMhANdamAGCsQq31Uv-08lkBzoO4XLz2qYjJa8CGmj3B1EaoDIwFAYEZ4EMKjEMBAqgoaKjpKWm"
    "p6ipMBoGBGeBDCkxEgQQAAECAwQFBgcICQoLDA0ODzAFBgMrZXADQQCYZrQ7z2GwDN8T87lIALyqlNRCtfUKH4W8TS96BpWucQiW"
    "vWe3-nUvkwMIHbqp_x8PRG2L14Gi__bKKid8NTQG";
const std::string token_csr =
    "MIIBjTCCAT8CAQAwSTFHMEUGA1UEAww-MjVuanFhbWN3ZWZscHZrbDczajRzemFoaGlob2M0eHQza3RjZ2pucGFpbmdyNXloa2Vu"
    "bDVzaWQub25pb24wKjAFBgMrZXADIQDXWpgBgrEKt9VL_tPJZAc6DuFy89qmIyWvAhpo9wdRGqCBwjCBvwYJKoZIhvcNAQkOMYGx"
    "MIGuMEkGA1UdEQRCMECCPjI1bmpxYW1jd2VmbHB2a2w3M2o0c3phaGhpaG9jNHh0M2t0Y2dqbnBhaW5ncjV5aGtlbmw1c2lkLm9u"
    "aW9uMGEGBGeBDCkEWQxXZXZhR3hmQURzNnBTUmIyTEF2OUlaZjE3RHQzanV4R0otUEN0OTJ3ci1vQS5rUHJLX3FteFZXYVlWQTl3"
    "d0JGNkl1bzN2Vnp6N1R4SENUd1hCeWdyUzRrMAUGAytlcANBAKSbAf6HSoe_-lGBwLL3v99nuFJ4TJi18tThaxXQ1L8FYPUMJgLA"
    "bs0h5b3ojgoRS61AdqnBXiWhBnXxaAYq0QY";

OnionKey k1() { return OnionKey::from_pem(PrivateKey::from_jwk(vectors::k1_private).to_pem()); }

ChallengeContext onion_challenge(const std::string& json) {
  ChallengeContext context;
  context.identifier = Identifier("dns", k1_address);
  context.type = "onion-csr-01";
  context.challenge.type = context.type;
  context.challenge.json = json;
  return context;
}

Bytes csr_in(const Result<std::string>& response) {
  REQUIRE(response);
  const std::string start = "{\"csr\":\"";
  REQUIRE(response->starts_with(start));
  return base::base64url_decode(response->substr(start.size(), response->size() - start.size() - 2)).value();
}

std::string refusal(const Result<std::string>& response) {
  return response ? "none" : std::string(to_string(response.error().code())) + ": " + response.error().what();
}

}  // namespace

TEST_CASE("the CSR of RFC 9799, byte by byte") {
  const Bytes ours = base::hex_decode("a0a1a2a3a4a5a6a7a8a9").value();
  const Bytes theirs = base::base64_decode_lenient("AAECAwQFBgcICQoLDA0ODw==").value();
  CHECK(base::base64url_encode(solvers::onion_csr_with_nonces(theirs, ours, k1())) == rfc_csr);

  const crypto::Csr csr = crypto::parse_csr(build_onion_csr_rfc9799("AAECAwQFBgcICQoLDA0ODw==", k1()));
  CHECK(csr.signature_ok);
  CHECK(csr.key_type == "ed25519");
  CHECK(csr.common_name.empty());
  REQUIRE(csr.attributes.size() == 2);
  // The nonce of ours is another one each time, of at least 64 bits.
  const auto nonce = [](const crypto::Csr& of) {
    for (const crypto::OidValue& attribute : of.attributes)
      if (attribute.oid == "2.23.140.42") return attribute.value;
    return Bytes();
  };
  CHECK(nonce(csr).size() >= 2 + 8);
  CHECK(nonce(csr) != nonce(crypto::parse_csr(build_onion_csr_rfc9799("AAECAwQFBgcICQoLDA0ODw==", k1()))));
  for (const char* bad : {"", "AAEC", "!!!!!!!!!!!!", "AAECAwQFBg=="}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(build_onion_csr_rfc9799(bad, k1()), Error);
  }
}

TEST_CASE("the CSR with a key authorization, byte by byte") {
  const std::string pem = PrivateKey::from_jwk(vectors::k1_private).to_pem();
  CHECK(base::base64url_encode(build_onion_csr(k1_address, key_authorization, pem)) == token_csr);
  const crypto::Csr sub_name = crypto::parse_csr(build_onion_csr("www." + k1_address, key_authorization, k1()));
  CHECK(sub_name.signature_ok);
  CHECK(sub_name.san == std::vector<Identifier>{Identifier("dns", "www." + k1_address)});
  // A name of another service, and no name at all.
  CHECK_THROWS_AS(
      build_onion_csr("bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad.onion", key_authorization, k1()),
      Error);
  CHECK_THROWS_AS(build_onion_csr("example.com", key_authorization, k1()), Error);
  CHECK_THROWS_AS(build_onion_csr(k1_address, "", k1()), Error);
  CHECK_THROWS_AS(build_onion_csr(k1_address, key_authorization, PrivateKey::generate().to_pem()), Error);
}

TEST_CASE("keys of onion services, from PEM and from Tor's file") {
  CHECK(k1().address() == k1_address);
  // What RFC 8032 makes of the seed of K1, as Tor stores it.
  const std::string expanded =
      "307c83864f2833cb427a2ef1c00a013cfdff2768d980c0a3a520f006904de94f"
      "9b4f0afe280b746a778684e75442502057b7473a03f08f96f5a38e9287e01f8f";
  std::string file("== ed25519v1-secret: type0 ==\0\0\0", 32);
  const Bytes octets = base::hex_decode(expanded).value();
  for (const std::uint8_t octet : octets) file += static_cast<char>(octet);
  const OnionKey from_tor = OnionKey::from_file_contents(file);
  CHECK(from_tor.address() == k1_address);
  CHECK(from_tor.sign(as_bytes("text")) == k1().sign(as_bytes("text")));
  CHECK(base::base64url_encode(build_onion_csr(k1_address, key_authorization, from_tor)) == token_csr);
  CHECK(OnionKey::from_file_contents(PrivateKey::from_jwk(vectors::k1_private).to_pem()).address() == k1_address);

  CHECK_THROWS_AS(OnionKey::from_file_contents(file.substr(0, 95)), Error);
  CHECK_THROWS_AS(OnionKey::from_file_contents(file + "x"), Error);
  CHECK_THROWS_AS(OnionKey::from_file_contents("== ed25519v1-public: type0 ==" + file.substr(29)), Error);
  CHECK_THROWS_AS(OnionKey::from_file_contents("nonsense"), Error);
  file[32] = static_cast<char>(file[32] | 1);  // a scalar that no key has
  CHECK_THROWS_AS(OnionKey::from_file_contents(file), Error);
}

TEST_CASE("an onion key, or a solver with one, that was moved from is still the same") {
  OnionKey key = OnionKey::from_pem(PrivateKey::generate("ed25519").to_pem());
  const OnionKey taken = std::move(key);
  CHECK(key.address() == taken.address());
  OnionSolver solver(key);
  const OnionSolver other = std::move(solver);
  CHECK(solver.can_solve(Identifier::dns(key.address()), false));
}

TEST_CASE("is_onion_address") {
  CHECK(is_onion_address(k1_address));
  CHECK(is_onion_address("*.www." + k1_address));
  CHECK_FALSE(is_onion_address("example.com"));
  std::string wrong = k1_address;
  wrong[3] = 'a';
  CHECK_FALSE(is_onion_address(wrong));
}

TEST_CASE("CAA of onion services is signed as RFC 9799 says") {
  const auto expiry = std::chrono::system_clock::time_point(std::chrono::seconds(1767225600));
  const OnionCaa one = sign_onion_caa(k1(), "caa 0 issue \"ca.test\"", expiry);
  CHECK(one.address == k1_address);
  CHECK(base::base64url_encode(one.signature) ==
        "ChDdwe3Z-yx6nDC9D-4dmhA0DIT-R0Fvs46Pu-TjYaRPqTNWD4oKpf6WROHUZJDLxR8sYkAhPJ-ER2lrlCQ3DQ");
  const OnionCaa none = sign_onion_caa(k1(), std::nullopt, expiry);
  CHECK(base::base64url_encode(none.signature) ==
        "2K8lVjN6MT6c0kdzg26hDiT-B3ksjX83y4uFApdsp7k3xAVPOlEA43t2GPxQI60amR_U5VjYOTZOfsDkAkQMAA");
  CHECK_THROWS_AS(sign_onion_caa(k1(), "caa 0 issue \"ca.test\"\n", expiry), Error);
  CHECK_THROWS_AS(sign_onion_caa(k1(), "issue ca.test", expiry), Error);
  CHECK_THROWS_AS(sign_onion_caa(k1(), "caa 0 issue \"\t\"", expiry), Error);
}

TEST_CASE("the onion solver answers in the form that the challenge calls for") {
  const OnionSolver solver(k1());
  CHECK(solver.type() == "onion-csr-01");
  CHECK(solver.can_solve(Identifier("dns", k1_address), true));
  CHECK(solver.can_solve(Identifier("dns", "www." + k1_address), false));
  CHECK_FALSE(solver.can_solve(Identifier("dns", "x" + k1_address), false));
  CHECK_FALSE(solver.can_solve(Identifier("dns", "example.com"), false));

  const auto by_nonce =
      crypto::parse_csr(csr_in(solver.response(onion_challenge(R"({"nonce":"AAECAwQFBgcICQoLDA0ODw=="})"))));
  CHECK(by_nonce.attributes.size() == 2);
  ChallengeContext with_token =
      onion_challenge(R"({"token":"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA","authKey":"x"})");
  with_token.key_authorization = key_authorization;
  CHECK(base::base64url_encode(csr_in(solver.response(with_token))) == token_csr);

  CHECK(contains(refusal(solver.response(onion_challenge("{}"))), "bad_response"));
  CHECK(contains(refusal(solver.response(onion_challenge(R"({"nonce":"AAEC"})"))), "not base64 of at least 64 bits"));
}
