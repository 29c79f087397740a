#include "culmen/records.hpp"

#include <doctest/doctest.h>

#include "culmen/error.hpp"
#include "culmen/storage.hpp"

using namespace culmen;

TEST_CASE("records: an account, there and back, with members of a newer version") {
  AccountRecord account;
  account.key_pem = "key\n";
  account.url = "https://ca.example/1";
  account.directory_url = "https://ca.example/dir";
  account.unknown = R"({"contacts":["mailto:a@example.com"],"newer":{"a":[1,null]}})";
  const std::string text = encode(account);
  CHECK(text == R"({"format":1,"key":"key\n","url":"https://ca.example/1","server":"https://ca.example/dir",)"
                R"("contacts":["mailto:a@example.com"],"newer":{"a":[1,null]}})");
  AccountRecord again = decode_account(text).value();
  CHECK(again.key_pem == account.key_pem);
  CHECK(again.next_key_pem.empty());
  CHECK(again.url == account.url);
  CHECK(again.directory_url == account.directory_url);
  CHECK(again.unknown == account.unknown);
  again.next_key_pem = "next\n";
  again.url.clear();
  CHECK(decode_account(encode(again)).value().next_key_pem == "next\n");
  CHECK(decode_account(encode(again)).value().unknown == account.unknown);
}

TEST_CASE("records: an order in progress has the members that the program writes") {
  PendingOrder order;
  order.order_url = "https://ca.example/order/1";
  order.server = "https://ca.example/dir";
  order.account = "https://ca.example/1";
  order.names = {"example.com", "*.example.com"};
  order.key_type = "ec:P-256";
  const std::string text = encode(order);
  CHECK(text == R"({"format":1,"server":"https://ca.example/dir","account":"https://ca.example/1",)"
                R"("names":["example.com","*.example.com"],"key_type":"ec:P-256","profile":"","must_staple":false,)"
                R"("url":"https://ca.example/order/1"})");
  order.key_pem = "key";
  order.replaces = "a.b";
  order.profile = "shortlived";
  order.must_staple = true;
  order.unknown = R"({"newer":1})";
  const PendingOrder again = decode_pending_order(encode(order)).value();
  CHECK(again.order_url == order.order_url);
  CHECK(again.server == order.server);
  CHECK(again.account == order.account);
  CHECK(again.names == order.names);
  CHECK(again.key_type == order.key_type);
  CHECK(again.key_pem == order.key_pem);
  CHECK(again.replaces == order.replaces);
  CHECK(again.profile == order.profile);
  CHECK(again.must_staple);
  CHECK(again.unknown == order.unknown);
}

TEST_CASE("records: a generation keeps its meta as it is") {
  Generation generation;
  generation.key_pem = "key";
  generation.chain_pem = "chain";
  generation.meta = R"({"server":"https://ca.example/dir","names":["example.com"],"challenge":{"type":"http-01"}})";
  const Generation again = decode_generation(encode(generation)).value();
  CHECK(again.key_pem == generation.key_pem);
  CHECK(again.chain_pem == generation.chain_pem);
  CHECK(again.meta == generation.meta);
  CHECK(decode_generation(encode(Generation())).value().meta == "{}");
  generation.meta = "[]";
  CHECK_THROWS_AS((void)encode(generation), Error);
  AccountRecord account;
  account.unknown = "nonsense";
  CHECK_THROWS_AS((void)encode(account), Error);
}

TEST_CASE("records: what does not fit is refused, and the error says why") {
  const auto error_of = [](std::string_view text) {
    const Result<PendingOrder> order = decode_pending_order(text);
    REQUIRE(!order);
    CHECK(order.error().code() == Errc::io_failed);
    return order.error().detail();
  };
  CHECK(error_of("") == "it is not a JSON object");
  CHECK(error_of("[]") == "it is not a JSON object");
  CHECK(error_of("{}x") == "it is not a JSON object");
  CHECK(error_of(R"({"format":2})") ==
        "its format is 2, and this version of culmen reads formats up to 1: a newer version wrote it; use that one");
  CHECK(error_of(R"({"format":"1"})") == "its format is not a positive number");
  CHECK(error_of(R"({"format":0})") == "its format is not a positive number");
  CHECK(error_of(R"({"url":1})") == "its member \"url\" is not a text");
  CHECK(error_of(R"({"names":"a"})") == "its member \"names\" is not a list");
  CHECK(error_of(R"({"names":["a",1]})") == "its member \"names\" is not a list of texts");
  CHECK(error_of(R"({"must_staple":"yes"})") == "its member \"must_staple\" is not true or false");
  CHECK(!decode_generation(R"({"meta":[]})"));
  // Files of the program from before there was a format.
  CHECK(decode_pending_order("{}"));
  CHECK(decode_account(R"({"url":"https://ca.example/1"})").value().url == "https://ca.example/1");
}

TEST_CASE("records: keys") {
  const std::string ca = "https://acme-v02.api.letsencrypt.org/directory";
  CHECK(server_part(ca) == "acme-v02.api.letsencrypt.org_directory");
  CHECK(account_lease(ca) == "accounts/acme-v02.api.letsencrypt.org_directory");
  CHECK(account_key_of(ca) == "accounts/acme-v02.api.letsencrypt.org_directory/account");
  CHECK(certificate_lease("*.example.com") == "certificates/%2a.example.com");
  CHECK(certificate_record_key("example.com@rsa") == "certificates/example.com@rsa/record");
  CHECK(pending_order_key("Foo") == "certificates/%46oo/pending");
  CHECK(generation_key("example.com", 12) == "certificates/example.com/12");
  CHECK(challenge_key("http-01", "aB_-") == "challenges/http-01/a%42_-");
  CHECK(rates_key(ca, "https://x/1") == "rates/acme-v02.api.letsencrypt.org_directory/https%3a%2f%2fx%2f1");
  CHECK(unused_key_of("20261127T203000Z", "0AfF") == "keys/unused/20261127t203000z-0aff");
}

TEST_CASE("records: the folder of a CA is the one that the program made") {
  const auto folder_of = [](std::string_view url) { return storage_part_text(server_part(url)).value(); };
  CHECK(folder_of("https://acme-v02.api.letsencrypt.org/directory") == "acme-v02.api.letsencrypt.org_directory");
  CHECK(folder_of("https://localhost:14000/dir") == "localhost%3A14000_dir");
  CHECK(folder_of("http://ca.example/ACME/a_b?c") == "http%3A__ca.example_ACME_a%5Fb%3Fc");
  CHECK(folder_of("https://.hidden/") == "%2Ehidden_");
  CHECK(server_part("https://a/_") != server_part("https://a//"));
}

TEST_CASE("records: what could not be read again is not written") {
  const auto refused = [](const auto& record) {
    try {
      (void)encode(record);
    } catch (const Error& error) {
      CHECK(error.code() == Errc::invalid_argument);
      return error.detail();
    }
    return std::string("written");
  };
  AccountRecord account;
  for (const char* unknown :
       {R"({"url":1})", R"({"url":"x"})", R"({"next_key":1})", R"({"key":1})", R"({"format":2})"}) {
    CAPTURE(unknown);
    account.unknown = unknown;
    CHECK(refused(account).find("which is known") != std::string::npos);
  }
  PendingOrder order;
  order.unknown = R"({"replaces":[]})";
  CHECK(refused(order).find("\"replaces\", which is known") != std::string::npos);
  order.unknown.clear();
  order.names = {"\xff"};
  CHECK(refused(order).find("UTF-8") != std::string::npos);
  account.unknown.clear();
  account.url = "https://ca.example/\xc3";
  CHECK(refused(account).find("UTF-8") != std::string::npos);
  Generation generation;
  generation.chain_pem = "\x80";
  generation.meta = "{}";
  CHECK(refused(generation).find("UTF-8") != std::string::npos);
  generation.chain_pem.clear();
  generation.meta = "{\"a\":" + std::string(30, '[') + std::string(30, ']') + "}";
  CHECK((refused(generation) == "written") == decode_generation(R"({"meta":)" + generation.meta + "}").has_value());
}
