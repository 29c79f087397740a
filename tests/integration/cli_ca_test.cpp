// culmen ca: the CAs with a name of their own, and what a CA says of itself.
#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;

TEST_CASE("ca list: names and directory URLs") {
  const Outcome spoken = run({culmen_path(), "ca", "list"});
  CHECK(spoken.exit_code == 0);
  CHECK(contains(spoken.out, "letsencrypt-staging  https://acme-staging-v02.api.letsencrypt.org/directory\n"));
  CHECK(contains(spoken.out, "https://acme.zerossl.com/v2/DV90  (binds accounts)\n"));
  const Outcome outcome = run({culmen_path(), "ca", "list", "--json"});
  CHECK(outcome.exit_code == 0);
  const json::object said = outcome.json();
  REQUIRE(said.at("cas").as_array().size() > 5);
  const json::object first = said.at("cas").as_array().front().as_object();
  CHECK(first.at("name") == "letsencrypt");
  CHECK(first.at("directory") == "https://acme-v02.api.letsencrypt.org/directory");
  CHECK(first.at("external_account_required") == false);
}

TEST_CASE("ca show: what the directory says") {
  const TestCaProcess ca({"--tos", "https://ca.example/terms", "--profile", "classic=as ever", "--profile",
                          "shortlived=six days", "--eab", "kid-1=c2VjcmV0", "--star", "--no-pre-authorization",
                          "--dns-persist", "account-url"});
  const std::vector<std::string> show = {culmen_path(), "ca", "show", ca.url(), "--server-ca", ca.root_file()};
  const Outcome spoken = run(show);
  INFO(spoken.err);
  CHECK(spoken.exit_code == 0);
  CHECK(contains(spoken.out, "https://ca.example/terms\n"));
  CHECK(contains(spoken.out, "  shortlived          six days\n"));
  CHECK(contains(spoken.out, "Binds accounts (EAB)  yes\n"));
  CHECK(contains(spoken.out, "Suggests when (ARI)   yes\n"));
  CHECK(contains(spoken.out, "ca.culmen.example"));
  CHECK_FALSE(contains(spoken.out, "newAuthz"));

  std::vector<std::string> words = show;
  words.push_back("--json");
  const Outcome outcome = run(words);
  CHECK(outcome.exit_code == 0);
  const json::object said = outcome.json();
  CHECK(said.at("ok") == true);
  CHECK(said.at("command") == "ca");
  CHECK(said.at("directory") == json::value(ca.url()));
  for (const char* endpoint : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"}) {
    CHECK(said.at("endpoints").as_object().at(endpoint).as_string().starts_with("https://127.0.0.1:"));
  }
  CHECK(said.at("terms_of_service") == "https://ca.example/terms");
  CHECK(said.at("external_account_required") == true);
  CHECK(said.at("renewal_info") == true);
  CHECK(said.at("star") == true);
  CHECK(said.at("caa_identities") == json::array({"ca.culmen.example"}));
  CHECK(said.at("profiles") == json::object({{"classic", "as ever"}, {"shortlived", "six days"}}));

  const TestCaProcess plain({"--no-renewal-info"});
  const json::object less =
      run({culmen_path(), "ca", "show", plain.url(), "--server-ca", plain.root_file(), "--json"}).json();
  CHECK(less.at("renewal_info") == false);
  CHECK_FALSE(less.at("endpoints").as_object().contains("renewalInfo"));
  CHECK(less.at("endpoints").as_object().contains("newAuthz"));
  CHECK(less.at("external_account_required") == false);
  CHECK(less.at("profiles").as_object().empty());
}

TEST_CASE("ca show: names that nobody knows, and servers that are not there") {
  const Outcome unknown = run({culmen_path(), "ca", "show", "lets-encrypt"});
  CHECK(unknown.exit_code == 2);
  CHECK(contains(unknown.err, "\"lets-encrypt\" is neither a URL nor a known name"));
  CHECK(contains(unknown.err, "letsencrypt-staging"));
  CHECK(run({culmen_path(), "ca", "show"}).exit_code == 2);
  CHECK(run({culmen_path(), "ca"}).exit_code == 2);
  const Outcome absent = run({culmen_path(), "ca", "show", "https://127.0.0.1:1/directory", "--json"});
  CHECK(absent.exit_code == 3);
  CHECK(absent.json().at("error").as_object().contains("message"));
  const TestCaProcess ca;
  CHECK(run({culmen_path(), "ca", "show", ca.url()}).exit_code == 1);  // its root is not trusted
}
