// culmen issue --allow-subset-of-names: one dead name does not keep the others from their certificate.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/culmen_program.hpp"
#include "support/text.hpp"

using namespace cli_test;

namespace {

const std::vector<std::string> names_with_dead = {"dead.example", "a.example", "b.example"};

/// A command that asks no CA.
Outcome ask_host(const Client& client, std::vector<std::string> words) {
  words.insert(words.begin(), culmen_path());
  words.insert(words.end(), {"--dir", client.state().string()});
  return run(words);
}

boost::json::object only_certificate(const Client& client) {
  return ask_host(client, {"list", "--json"}).json().at("certificates").as_array().at(0).as_object();
}

}  // namespace

TEST_CASE("subset of names: a name whose validation fails is left out, shown, and remembered to be tried again") {
  // Nobody answers for dead.example there.
  const TestCaProcess ca({"--resolve", "dead.example=127.0.0.9"});
  const Client client(ca);
  const std::vector<std::string> here = {"--http-address", "127.0.0.1", "--http-port", ca.http_port()};
  const Outcome refused = client.issue(names_with_dead, here);
  CHECK(refused.exit_code == 3);
  CHECK_FALSE(fs::exists(client.certificate("dead.example") / "live"));

  std::vector<std::string> with_flag = here;
  with_flag.emplace_back("--allow-subset-of-names");
  const Outcome issued = client.issue(names_with_dead, with_flag);
  INFO(issued.out, issued.err);
  CHECK(issued.exit_code == 0);
  CHECK(contains(issued.err, "dead.example: dead.example is left out of the certificate: "));
  CHECK(contains(issued.err, "it is tried again after "));

  const Outcome list = ask_host(client, {"list"});
  CHECK(contains(list.out, "a.example, b.example; missing: dead.example"));
  const Outcome status = ask_host(client, {"status"});
  CHECK(status.exit_code == 0);
  CHECK(contains(status.out, "missing       dead.example since "));
  const boost::json::object shown = only_certificate(client);
  CHECK(shown.at("names").as_array().size() == 2);
  REQUIRE(shown.at("missing").as_array().size() == 1);
  const boost::json::object& missing = shown.at("missing").as_array().at(0).as_object();
  CHECK(text(missing.at("name")) == "dead.example");
  CHECK(contains(text(missing.at("why")), "connection"));
  CHECK(missing.at("tries").to_number<int>() == 1);

  // The flag is remembered, and nothing is ordered before its time.
  const int orders = ca.logged("new-order");
  CHECK(client.issue(names_with_dead, here).exit_code == 0);
  CHECK(ask_host(client, {"renew"}).exit_code == 0);
  CHECK(ca.logged("new-order") == orders);
  CHECK(ask_host(client, {"edit", "dead.example", "-d", "a.example", "-d", "b.example"}).exit_code == 0);
  CHECK_FALSE(only_certificate(client).contains("missing"));
  CHECK(ask_host(client, {"renew"}).exit_code == 0);
  CHECK(ca.logged("new-order") == orders);
}

TEST_CASE("subset of names: a name that the CA does not issue for, and --force tries all of them") {
  const TestCaProcess ca({"--block", "dead.example"});
  const Client client(ca);
  const Outcome issued = client.issue(names_with_dead, {"--allow-subset-of-names", "--json"});
  CHECK(issued.exit_code == 0);
  CHECK(issued.json().at("names").as_array().size() == 2);
  CHECK(issued.json().at("missing").as_array().size() == 1);
  const int orders = ca.logged("new-order");
  CHECK(client.issue(names_with_dead, {"--force"}).exit_code == 0);
  CHECK(ca.logged("new-order") == orders + 2);
  CHECK(only_certificate(client).at("missing").as_array().at(0).at("tries").to_number<int>() == 2);
}

TEST_CASE("subset of names: at least one has to remain") {
  const TestCaProcess ca({"--block", "dead.example"});
  const Client client(ca);
  const Outcome refused = client.issue({"dead.example"}, {"--allow-subset-of-names"});
  CHECK(refused.exit_code == 4);
  CHECK(contains(refused.err, "dead.example"));
}
