// Several certificates and processes that want the same port for their challenges.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
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

TEST_CASE("port: what another program has is found before the CA is asked, unless a pre-hook may stop it") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const int accounts = ca.logged("new-account"), orders = ca.logged("new-order");
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(taken, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(ca.http_port())));
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  REQUIRE(bind(taken, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(taken, 1) == 0);
  const std::string holder = "(process " + std::to_string(getpid()) + ")";

  const culmen::test::TemporaryFolder folder;
  const Outcome fresh = run({culmen_path(), "issue", "-d", "b.example", "--agree-tos", "--http-port", ca.http_port(),
                             "--server", ca.url(), "--server-ca", ca.root_file(), "--dir", folder / "state"});
  CHECK(fresh.exit_code == 1);
  CHECK_MESSAGE(contains(fresh.err, holder), fresh.err);
  CHECK(ca.logged("new-account") == accounts);
  CHECK_FALSE(contains(run({culmen_path(), "list", "--dir", folder / "state"}).out, "b.example"));

  const Outcome renewed = run({culmen_path(), "renew", "--force", "--dir", client.state()});
  CHECK(renewed.exit_code == 1);
  CHECK_MESSAGE(contains(renewed.err, holder), renewed.err);
  CHECK(ca.logged("new-order") == orders);
  // The certificate that is there needs no port.
  CHECK(client.issue({"a.example"}).exit_code == 0);

  const std::string hook = folder / "hook";
  folder.write("hook", "#!/bin/sh\ntouch '" + (folder / "ran").string() + "'\n");
  fs::permissions(hook, fs::perms::owner_all);
  const Outcome with_hook = client.issue({"c.example"}, {"--pre-hook", hook});
  CHECK(fs::exists(folder / "ran"));
  CHECK(contains(with_hook.err, holder));
  close(taken);
  CHECK(client.issue({"c.example"}).exit_code == 0);
}
