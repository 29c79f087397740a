// Several certificates and processes that want the same port for their challenges.
#include <signal.h>

#include <string>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/text.hpp"

using namespace cli_test;

TEST_CASE("port: certificates with different addresses on one port take turns") {
  const TestCaProcess ca({"--pending-polls", "2", "--retry-after", "1"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}, {"--http-address", "127.0.0.1"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  for (int i = 0; i < 2; ++i) {
    const Outcome renewed = run({culmen_path(), "renew", "--force", "--dir", client.state().string()});
    INFO(renewed.out << renewed.err);
    CHECK(renewed.exit_code == 0);
  }
}

TEST_CASE("port: another culmen is waited for, and named when it does not free the port") {
  const TestCaProcess quick({"--pending-polls", "2", "--retry-after", "1"}),
      slow({"--pending-polls", "200", "--retry-after", "1", "--skip-validation"});
  const Client client(quick), other(slow);
  const auto has_presented = [](const Process& process) { return contains(process.out(), "challenge published"); };
  {
    Process first(client.command(client.issue_words({"a.example"})));
    REQUIRE(eventually([&] { return has_presented(first); }));
    const Outcome second = client.issue({"b.example"});
    INFO(second.out << second.err);
    CHECK(second.exit_code == 0);
    CHECK(first.wait() == 0);
  }
  Process holder(other.command(other.issue_words({"c.example"}, {"--http-port", quick.http_port()})));
  REQUIRE(eventually([&] { return has_presented(holder); }));
  const Outcome late = client.issue({"d.example"});
  INFO(late.out << late.err);
  CHECK(late.exit_code == 3);
  CHECK(contains(late.err, "another culmen (process " + std::to_string(holder.id()) + ")"));
  holder.signal(SIGTERM);
  holder.wait();
  const Outcome again = client.issue({"d.example"});
  CHECK_MESSAGE(again.exit_code == 0, again.err);
}
