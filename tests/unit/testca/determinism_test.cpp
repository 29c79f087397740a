#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "culmen/certificate.hpp"

using namespace culmen;
using namespace culmen::testca;

namespace {

/// Everything that must look random, from the same requests.
std::vector<std::string> what_a_seed_makes(std::uint64_t seed) {
  TestCaOptions options;
  options.seed = seed;
  InProcess ca(options);
  AcmeCaller caller = ca.caller();
  std::vector<std::string> seen = {caller.nonce()};
  caller.register_account();
  seen.push_back(caller.account_url);
  Reply created = caller.new_order({"a.example", "b.example"});
  seen.emplace_back(created.header("location"));
  boost::json::object order = body_of(created);
  boost::json::object authz = body_of(caller.post(std::string(order.at("authorizations").at(0).as_string())));
  seen.push_back(boost::json::serialize(authz.at("challenges")));
  Certificate leaf = Certificate::from_pem(caller.issue({"c.example"}, PrivateKey::generate()));
  seen.emplace_back(as_text(leaf.serial));
  return seen;
}

}  // namespace

TEST_CASE("a seed decides nonces, URLs, tokens and serials, without one they differ") {
  CHECK(what_a_seed_makes(42) == what_a_seed_makes(42));
  CHECK(what_a_seed_makes(42) != what_a_seed_makes(43));
  CHECK(what_a_seed_makes(0) != what_a_seed_makes(0));
}
