#include <doctest/doctest.h>

#include "dns/query.hpp"
#include "support/dns_server.hpp"
#include "support/run_flow.hpp"

using namespace culmen;
using namespace culmen::dns;

namespace {

std::vector<Server> servers_of(const test::DnsServer& dns) {
  const Result<Server> server = parse_server(dns.address());
  REQUIRE(server);
  return {*server};
}

}  // namespace

TEST_CASE("DNS servers as text") {
  const auto is = [](const std::string& text, const std::string& address, std::uint16_t port) {
    const Result<Server> server = parse_server(text);
    return server && *server == Server(address, port);
  };
  CHECK(is("192.0.2.1", "192.0.2.1", 53));
  CHECK(is("192.0.2.1:5353", "192.0.2.1", 5353));
  CHECK(is("2001:db8::1", "2001:db8::1", 53));
  CHECK(is("[2001:db8::1]:54", "2001:db8::1", 54));
  for (const char* wrong : {"", "ns.example", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:70000", "[2001:db8::1]:x"})
    CHECK_FALSE(parse_server(wrong));
}

TEST_CASE("DNS servers of resolv.conf") {
  const std::vector<Server> servers = servers_in(
      "# a comment\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # here\nnameserver "
      "fe80::1%eth0\nnameserver x\n");
  REQUIRE(servers.size() == 3);
  CHECK(servers[0] == Server("192.0.2.1", 53));
  CHECK(servers[1] == Server("2001:db8::1", 53));
  CHECK(servers[2] == Server("fe80::1", 53));
  CHECK(servers_in("") == std::vector<Server>{Server("127.0.0.1", 53)});
}

TEST_CASE("DNS questions: addresses, aliases, names that are not there") {
  test::DnsServer dns;
  dns.add_address("a.example.org", "192.0.2.7");
  dns.add_address("a.example.org", "2001:db8::7");
  dns.add_alias("www.example.org", "a.example.org");
  const std::vector<Server> servers = servers_of(dns);
  const Result<Answer> v4 = test::run_flow(query(servers, "A.example.ORG", Type::a));
  CHECK_FALSE((v4 && !v4->records.empty()));  // this server distinguishes case
  const Result<Answer> v6 = test::run_flow(query(servers, "a.example.org", Type::aaaa));
  REQUIRE(v6);
  REQUIRE(v6->records.size() == 1);
  CHECK(v6->records[0].data.size() == 16);
  const Result<Answer> alias = test::run_flow(query(servers, "www.example.org", Type::a));
  REQUIRE(alias);
  CHECK(alias->alias == "a.example.org");
  REQUIRE(alias->records.size() == 1);
  CHECK(alias->records[0].data == Bytes{192, 0, 2, 7});
  const Result<Answer> none = test::run_flow(query(servers, "b.example.org", Type::a));
  REQUIRE(none);
  CHECK(none->rcode == Rcode::no_such_name);
  CHECK_FALSE(test::run_flow(query(servers, "", Type::a)));
  CHECK_FALSE(test::run_flow(query(servers, std::string(300, 'a'), Type::a)));
}

TEST_CASE("DNS questions: a lost datagram, an answer that needs TCP, a server that cannot say") {
  test::DnsServer dns;
  for (int i = 1; i < 120; ++i) dns.add_address("many.example.org", "192.0.2." + std::to_string(i));
  const Result<Answer> many = test::run_flow(query(servers_of(dns), "many.example.org", Type::a));
  REQUIRE(many);
  CHECK(many->records.size() == 100);  // what is kept
  dns.lost = 1;
  CHECK(test::run_flow(query(servers_of(dns), "many.example.org", Type::a)));
  test::DnsServer broken;
  broken.rcode = 2;
  const std::vector<Server> both = {servers_of(broken).front(), servers_of(dns).front()};
  const Result<Answer> second = test::run_flow(query(both, "many.example.org", Type::a));
  REQUIRE(second);
  CHECK(second->rcode == Rcode::no_error);
  const Result<Answer> failed = test::run_flow(query(servers_of(broken), "many.example.org", Type::a));
  REQUIRE(failed);
  CHECK(failed->rcode == Rcode::server_failure);
}

TEST_CASE("DNS messages: what is no answer") {
  const Result<Bytes> asked = question(7, "a.example.org", Type::a);
  REQUIRE(asked);
  Bytes answer = *asked;
  CHECK_FALSE(is_answer_to(answer, *asked));  // the question itself
  answer[2] |= 0x80;
  CHECK(is_answer_to(answer, *asked));
  Bytes other = answer;
  other[1] = 8;
  CHECK_FALSE(is_answer_to(other, *asked));
  const Result<Bytes> second = question(7, "b.example.org", Type::a);
  REQUIRE(second);
  CHECK_FALSE(is_answer_to(answer, *second));
  CHECK_FALSE(read_message(Bytes{1, 2, 3}));
  answer[7] = 1;  // a record that is not there
  CHECK_FALSE(read_message(answer));
}
