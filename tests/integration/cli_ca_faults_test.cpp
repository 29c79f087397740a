// What is the CA's fault has the exit code 4, not that of a fault of this machine or of its user.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/tiny_server.hpp"

using namespace cli_test;
using culmen::test::TemporaryFolder;

namespace {

std::string answer(const std::string& status_and_headers, const std::string& body) {
  return "HTTP/1.1 " + status_and_headers + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("exit code 4: a server that is not a CA, or answers what ACME does not allow") {
  const std::string html = "200 OK\r\nContent-Type: text/html",
                    problem = "400 No\r\nContent-Type: application/problem+json";
  const std::vector<std::pair<std::string, std::string>> answers = {
      {"a page", answer(html, "<html>captive portal</html>")},
      {"a page and 403", answer("403 No\r\nContent-Type: text/html", "<html>no</html>")},
      {"a directory without members", answer("200 OK", "{}")},
      {"a redirect loop", answer("302 There\r\nLocation: /directory", "")},
      {"a redirect to another scheme", answer("302 There\r\nLocation: ftp://127.0.0.1/x", "")},
      {"a large body", answer("200 OK", std::string(2 << 20, ' '))},
      {"a problem that is not UTF-8",
       answer(problem, "{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"\xff\"}")},
  };
  for (const auto& [what, text] : answers) {
    CAPTURE(what);
    culmen::test::Server server(
        culmen::test::answering([&reply = text](const culmen::test::Request&) { return reply; }));
    const TemporaryFolder folder;
    const Outcome outcome = run({culmen_path(), "issue", "-d", "a.example", "--agree-tos", "--http-port", "1", "--dir",
                                 folder / "state", "--server", server.url("/directory"), "--json"});
    CHECK_MESSAGE(outcome.exit_code == 4, outcome.err);
    CHECK(outcome.json().at("exit_code").as_int64() == 4);
  }
}

TEST_CASE("exit code 4: a CA that fails in the middle of an order") {
  for (const char* fault : {"new-order:garbage", "new-order:oversized", "finalize:oversized", "certificate:garbage",
                            "new-account:status:status=403"}) {
    CAPTURE(fault);
    const TestCaProcess ca({"--fault", fault + std::string(":times=100")});
    const Client client(ca);
    const Outcome outcome = client.issue({"a.example"});
    CHECK_MESSAGE(outcome.exit_code == 4, outcome.err);
  }
}
