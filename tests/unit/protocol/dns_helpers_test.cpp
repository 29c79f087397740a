// What goes into the DNS: names and values of all three challenges.
#include <doctest/doctest.h>

#include "culmen/dns_helpers.hpp"
#include "culmen/error.hpp"

using namespace culmen;

namespace {

constexpr const char* account_url = "https://ca.test/acme/acct/1";
constexpr const char* thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

Challenge persist(const std::string& members) {
  Challenge challenge;
  challenge.type = "dns-persist-01";
  challenge.json = R"({"type":"dns-persist-01","url":"https://ca.test/chall/9",)" + members + "}";
  return challenge;
}

}  // namespace

TEST_CASE("dns-01: name and value") {
  CHECK(Dns01Helper::record_name("example.org") == "_acme-challenge.example.org");
  CHECK(Dns01Helper::record_name("*.Example.org.") == "_acme-challenge.example.org");
  CHECK(Dns01Helper::txt_value(
            "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k") ==
        "lAV291d372xyXVEZRY9j2FQ8g1TYpOaJr620CiahePA");
  CHECK(DnsPersist01Helper::txt_value("a.b") == Dns01Helper::txt_value("a.b"));
}

TEST_CASE("dns-account-01: the account's label") {
  CHECK(DnsAccount01Helper::record_name("https://example.com/acme/acct/ExampleAccount", "example.org") ==
        "_ujmmovf2vn55tgye._acme-challenge.example.org");
  CHECK(DnsAccount01Helper::record_name(account_url, "*.example.org") ==
        "_chipdnrz6ovfpe6e._acme-challenge.example.org");
}

TEST_CASE("dns-persist-01: the account's URL, where the challenge follows the first drafts") {
  Directory directory;
  const Challenge challenge =
      persist(R"("issuer-domain-names":["other.test","ca.test"],"accounturi":"https://ca.test/acme/acct/1")");
  CHECK(DnsPersist01Helper::record_name("*.example.org") == "_validation-persist.example.org");
  CHECK(DnsPersist01Helper::record_value(challenge, directory, account_url, thumbprint, "example.org") ==
        "other.test; accounturi=https://ca.test/acme/acct/1");
  directory.meta.caa_identities = {"ca.test"};
  DnsPersist01Helper::Options options;
  options.wildcard = true;
  options.persist_until = std::chrono::system_clock::time_point(std::chrono::seconds(1798761600));
  CHECK(DnsPersist01Helper::record_value(challenge, directory, account_url, thumbprint, "example.org", options) ==
        "ca.test; accounturi=https://ca.test/acme/acct/1; policy=wildcard; persistUntil=1798761600");
}

TEST_CASE("dns-persist-01: a hash of the account, where the challenge follows draft 02") {
  Directory directory;
  const Challenge challenge = persist(R"("issuerDomainNames":["ca.test"])");
  CHECK_THROWS_WITH_AS(DnsPersist01Helper::record_value(challenge, directory, account_url, thumbprint, "example.org"),
                       doctest::Contains("accountHashPrefix"), Error);
  directory.meta.account_hash_prefix = "https://ca.test/ah/";
  CHECK(DnsPersist01Helper::record_value(challenge, directory, account_url, thumbprint, "example.org") ==
        "ca.test; accounturi=https://ca.test/ah/sha-256/vKO9TGH4iOE7_YuO_OZ50T4K6N8xWPTIphliyqq8bH8");
  CHECK(DnsPersist01Helper::record_value(challenge, directory, account_url, thumbprint, "*.Example.org.") ==
        "ca.test; accounturi=https://ca.test/ah/sha-256/vKO9TGH4iOE7_YuO_OZ50T4K6N8xWPTIphliyqq8bH8");
  DnsPersist01Helper::Options unbound;
  unbound.bind_domain = false;
  CHECK(DnsPersist01Helper::record_value(challenge, directory, account_url, thumbprint, "example.org", unbound) ==
        "ca.test; accounturi=https://ca.test/ah/sha-256/Xa_pTgH1DCP0VzPRj4bRz-9HBPEIoXjuyDrxpQesyFM");
  // The draft's own vector.
  directory.meta.account_hash_prefix = "";
  directory.meta.account_hash_prefix = "p/";
  CHECK(DnsPersist01Helper::record_value(challenge, directory, "https://ca.example/acct/123",
                                         "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "example.com") ==
        "ca.test; accounturi=p/sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw");
}

TEST_CASE("dns-persist-01: a challenge that names no usable issuer is refused") {
  const Directory directory;
  for (const char* members :
       {R"("issuer-domain-names":[])", R"("status":"pending")", R"("issuer-domain-names":["CA.test"])",
        R"("issuer-domain-names":["ca.test."])", R"("issuer-domain-names":["ca.test; policy=wildcard"])",
        R"("issuer-domain-names":["a.b","a.b","a.b","a.b","a.b","a.b","a.b","a.b","a.b","a.b","a.b"])"}) {
    CAPTURE(members);
    CHECK_THROWS_AS(
        DnsPersist01Helper::record_value(persist(members), directory, account_url, thumbprint, "example.org"), Error);
  }
}

TEST_CASE("TXT: cut into strings of 255") {
  CHECK(txt_strings("short") == std::vector<std::string>{"short"});
  CHECK(txt_strings("").size() == 1);
  const std::vector<std::string> cut = txt_strings(std::string(600, 'x'));
  REQUIRE(cut.size() == 3);
  CHECK(cut[0].size() == 255);
  CHECK(cut[2].size() == 90);
}
