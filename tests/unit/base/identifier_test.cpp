#include "culmen/identifier.hpp"

#include <doctest/doctest.h>

#include <string>

#include "culmen/error.hpp"
#include "culmen/http.hpp"

namespace culmen {
namespace {

/// Why `make` throws; empty when it does not.
template <class Make>
std::string refusal(Make make) {
  try {
    make();
    return {};
  } catch (const Error& error) {
    CHECK(error.code() == Errc::invalid_argument);
    CHECK(error.kind() == ErrorKind::acme);
    return error.what();
  }
}

Bytes der(std::initializer_list<int> octets) { return Bytes(octets.begin(), octets.end()); }

TEST_CASE("Identifier: lists of telephone numbers are DER, in base64url") {
  // The service provider code 1234, a number, a range of numbers (RFC 8226 §9).
  const Bytes code = der({0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, 0x31, 0x32, 0x33, 0x34});
  CHECK(Identifier::tn_auth_list(code) == Identifier("TNAuthList", "MAigBhYEMTIzNA"));
  CHECK_FALSE(Identifier::tn_auth_list(code).is_wildcard());
  const Bytes all = der({0x30, 0x14, 0xa0, 0x03, 0x16, 0x01, 0x31, 0xa1, 0x08, 0x30, 0x06,
                         0x16, 0x01, 0x31, 0x02, 0x01, 0x02, 0xa2, 0x03, 0x16, 0x01, 0x32});
  CHECK(Identifier::tn_auth_list(all).type == "TNAuthList");
  for (const std::size_t length : {127u, 128u, 255u, 256u, 70000u}) {
    const auto wrapped = [](int tag, const Bytes& content) {
      Bytes out = {static_cast<std::uint8_t>(tag)};
      const std::size_t size = content.size();
      if (size > 0xffff) {
        out.insert(out.end(), {0x83, static_cast<std::uint8_t>(size >> 16)});
        out.push_back(static_cast<std::uint8_t>(size >> 8));
      } else if (size > 0xff) {
        out.insert(out.end(), {0x82, static_cast<std::uint8_t>(size >> 8)});
      } else if (size > 0x7f) {
        out.push_back(0x81);
      }
      out.push_back(static_cast<std::uint8_t>(size));
      out.insert(out.end(), content.begin(), content.end());
      return out;
    };
    const Bytes list = wrapped(0x30, wrapped(0xa2, Bytes(length, 0x31)));
    CHECK(Identifier::tn_auth_list(list).type == "TNAuthList");
    for (const std::size_t cut : {list.size() - 1, std::size_t{5}, std::size_t{3}, std::size_t{1}}) {
      CHECK_FALSE(refusal([&] { return Identifier::tn_auth_list(ByteView(list).first(cut)); }).empty());
    }
  }
  for (const Bytes& bad :
       {Bytes(), der({0x30}), der({0x30, 0x00}), der({0x31, 0x03, 0xa0, 0x01, 0x31}),
        der({0x30, 0x80, 0xa0, 0x01, 0x31}), der({0x30, 0x81, 0x03, 0xa0, 0x01, 0x31}), der({0x30, 0x82, 0x00, 0x80}),
        der({0x30, 0x03, 0xa3, 0x01, 0x31}), der({0x30, 0x02, 0xa0, 0x00}), der({0x30, 0x03, 0xa0, 0x02, 0x31}),
        der({0x30, 0x03, 0xa0, 0x01, 0x31, 0x00}), der({0x30, 0x84, 0x00, 0x00, 0x00, 0x03, 0xa0, 0x01, 0x31})}) {
    CHECK(refusal([&] { return Identifier::tn_auth_list(bad); }).find("TNAuthorizationList") != std::string::npos);
  }
}

TEST_CASE("Identifier: DNS names, wildcards and addresses are canonical") {
  CHECK(Identifier::dns("WWW.Example.com.") == Identifier("dns", "www.example.com"));
  CHECK(Identifier::dns("*.example.com").is_wildcard());
  CHECK_FALSE(Identifier::dns("example.com").is_wildcard());
  CHECK(Identifier::ip("2001:DB8:0:0::1") == Identifier("ip", "2001:db8::1"));
  CHECK(Identifier::ip("192.0.2.1") == Identifier("ip", "192.0.2.1"));
  CHECK_FALSE(Identifier("ip", "*.x").is_wildcard());
}

TEST_CASE("Identifier: parse tells addresses from names") {
  CHECK(Identifier::parse("192.0.2.1") == Identifier("ip", "192.0.2.1"));
  CHECK(Identifier::parse("::1") == Identifier("ip", "::1"));
  CHECK(Identifier::parse("Example.com") == Identifier("dns", "example.com"));
  CHECK(refusal([] { Identifier::parse("a b"); }).find("space") != std::string::npos);
}

TEST_CASE("Identifier: refusals say what to give instead") {
  CHECK(refusal([] { Identifier::dns("192.0.2.1"); }).find("IP address, not a DNS name") != std::string::npos);
  CHECK(refusal([] { Identifier::ip("[::1]"); }).find("without brackets") != std::string::npos);
  CHECK(refusal([] { Identifier::ip("fe80::1%eth0"); }).find("zone") != std::string::npos);
  CHECK(refusal([] { Identifier::ip("192.0.2.0/24"); }).find("range") != std::string::npos);
  CHECK(refusal([] { Identifier::ip("example.com"); }) ==
        "reading the IP address \"example.com\": it is neither an IPv4 nor an IPv6 address");
}

TEST_CASE("Identifier: onion addresses of version 3 have type dns") {
  const std::string address = "bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad.onion";
  CHECK(Identifier::onion(address) == Identifier("dns", address));
  CHECK(Identifier::onion("WWW.BBCweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad.onion") ==
        Identifier("dns", "www." + address));
  CHECK(Identifier::onion("*." + address).is_wildcard());
  CHECK(Identifier::onion("duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion").type == "dns");
}

TEST_CASE("Identifier: what is no onion address of version 3") {
  const std::pair<std::string, std::string> vectors[] = {
      {"example.com", "does not end in .onion"},
      {"onion", "does not end in .onion"},
      {"3g2upl4pq6kufc4m.onion", "version 2"},
      {"abc.onion", "56 characters"},
      {"bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccraa.onion", "not a version 3"},
      {"bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccra1.onion", "base32"},
      {"bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad.www.onion", "56 characters"},
  };
  for (const auto& vector : vectors) {
    const auto& address = vector.first;
    const auto& expected = vector.second;
    CAPTURE(address);
    CHECK(refusal([&] { Identifier::onion(address); }).find(expected) != std::string::npos);
  }
}

TEST_CASE("HttpResponse: headers by lower-case name, first and all") {
  HttpResponse response;
  response.headers = {{"link", "<a>"}, {"location", "x"}, {"link", "<b>"}, {"empty", ""}};
  CHECK(response.header("link") == "<a>");
  CHECK(response.header("empty") == "");
  CHECK_FALSE(response.header("retry-after"));
  CHECK_FALSE(response.header("lin"));
  CHECK(response.all_headers("link") == std::vector<std::string_view>{"<a>", "<b>"});
  CHECK(response.all_headers("nothing").empty());
}

}  // namespace
}  // namespace culmen
