// tkauth-01: the fingerprint, what token authorities are asked, and the solver (RFC 9447, RFC 9448).
#include "culmen/authority_token.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/abandoned_call.hpp"
#include "support/errors.hpp"
#include "support/scripted_driver.hpp"
#include "unit/jose/vectors.hpp"

using namespace culmen;

namespace {

const std::string k1_fingerprint =
    "SHA256 90:FA:CA:FE:A9:B1:55:66:98:54:0F:70:C0:11:7A:22:EA:37:BD:5C:F3:ED:3C:47:09:3C:17:07:28:2B:4B:89";
const Identifier numbers("TNAuthList", "MAigBhYEMTIzNA");
const std::string some_token = "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl";

ChallengeContext token_challenge(const std::string& url, const std::string& json = R"({"tkauth-type":"atc"})") {
  ChallengeContext context;
  context.identifier = numbers;
  context.type = "tkauth-01";
  context.challenge.type = context.type;
  context.challenge.url = url;
  context.challenge.json = json;
  return context;
}

std::string outcome(const Result<void>& result) {
  return result ? "fine" : std::string(to_string(result.error().code())) + ": " + result.error().what();
}

}  // namespace

TEST_CASE("authority tokens: the fingerprint of an account's key") {
  CHECK(authority_token_fingerprint(AccountKey::from_jwk(vectors::k1_private)) == k1_fingerprint);
}

TEST_CASE("authority tokens: what the token authority is asked") {
  const AccountKey key = AccountKey::from_jwk(vectors::k1_private);
  CHECK(authority_token_request(key, numbers) ==
        R"({"tktype":"TNAuthList","tkvalue":"MAigBhYEMTIzNA","ca":false,"fingerprint":")" + k1_fingerprint + "\"}");
  CHECK(contains(authority_token_request(key, numbers, true), R"("ca":true)"));
  for (const Identifier& bad :
       {Identifier::dns("a.example"), Identifier("TNAuthList", ""), Identifier("TNAuthList", "a\"b")}) {
    CHECK(contains(thrown_by([&] { return authority_token_request(key, bad); }), "invalid_argument"));
  }
}

TEST_CASE("authority tokens: the authority that the CA proposes") {
  CHECK(token_authority(token_challenge("u", R"({"token-authority":"https://ta.example/"})").challenge) ==
        "https://ta.example/");
  CHECK(token_authority(token_challenge("u").challenge).empty());
}

TEST_CASE("tkauth-01: the token is got when presented, given in the response, and forgotten") {
  test::FakeCa ca({"example.com"});
  test::ScriptedDriver driver(ca);
  int asked = 0;
  AuthorityTokenSolver solver([&](const ChallengeContext& context) {
    ++asked;
    return "\n " + some_token.substr(0, some_token.size() - 1) + context.challenge.url + "\r\n";
  });
  CHECK(solver.type() == "tkauth-01");
  CHECK(solver.can_solve(numbers, false));
  CHECK_FALSE(solver.can_solve(Identifier::dns("example.com"), false));

  const ChallengeContext one = token_challenge("A"), two = token_challenge("B", "{}");
  CHECK(contains(std::string(solver.response(one).error().what()), "there is no token"));
  CHECK(outcome(driver.drive(solver.present(one))) == "fine");
  CHECK(outcome(driver.drive(solver.present(two))) == "fine");
  CHECK(asked == 2);
  CHECK(*solver.response(one) == R"({"tkauth":")" + some_token.substr(0, some_token.size() - 1) + "A\"}");
  CHECK(*solver.response(two) == R"({"tkauth":")" + some_token.substr(0, some_token.size() - 1) + "B\"}");
  CHECK(outcome(driver.drive(solver.cleanup(one))) == "fine");
  CHECK(solver.response(one).error().code() == Errc::solver_failed);
  CHECK(solver.response(two).has_value());
}

TEST_CASE("tkauth-01: what is no token, and tokens of another kind") {
  test::FakeCa ca({"example.com"});
  test::ScriptedDriver driver(ca);
  for (const std::string& text :
       {std::string(), std::string(" \n"), std::string("abc"), std::string("YQ.YQ"), std::string("YQ.YQ.YQ.YQ"),
        std::string("YQ..YQ"), std::string("YQ.YQ."), std::string(R"({"protected":"YQ"})"), std::string("YQ.Y\"Q.YQ"),
        "YQ.YQ." + std::string(65536, 'A')}) {
    CAPTURE(text.substr(0, 40));
    AuthorityTokenSolver solver([&text](const ChallengeContext&) { return text; });
    CHECK(contains(outcome(driver.drive(solver.present(token_challenge("u")))), "solver_failed: answering tkauth-01"));
    CHECK_FALSE(solver.response(token_challenge("u")).has_value());
  }
  int asked = 0;
  AuthorityTokenSolver solver([&asked](const ChallengeContext&) {
    ++asked;
    return some_token;
  });
  CHECK(contains(outcome(driver.drive(solver.present(token_challenge("u", R"({"tkauth-type":"future"})")))),
                 "not_offered"));
  CHECK(asked == 0);
  AuthorityTokenSolver failing(
      [](const ChallengeContext&) -> std::string { throw Error(Errc::http_status, "asking the authority", "403"); });
  CHECK(contains(outcome(driver.drive(failing.present(token_challenge("u")))), "asking the authority"));
}

TEST_CASE("tkauth-01: a call may run on after its flow and its solver are gone") {
  std::vector<std::string> asked;
  std::function<Result<void>()> late;
  {
    AuthorityTokenSolver solver([&asked, text = some_token](const ChallengeContext& context) {
      asked.push_back(context.challenge.url);
      return text;
    });
    late = test::abandoned_call(solver.present(token_challenge("A")));
  }
  CHECK(late());
  CHECK(asked == std::vector<std::string>{token_challenge("A").challenge.url});
}
