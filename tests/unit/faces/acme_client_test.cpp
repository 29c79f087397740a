// The two faces: what they add to the engine's flows.
#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/engine.hpp"
#include "support/tiny_server.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

/// Serves a directory, and fails whatever else it is asked.
class DirectoryServer {
 public:
  DirectoryServer()
      : server(test::answering([this](const test::Request& request) {
          if (request.target != "/directory") return test::response(500, "not here");
          std::string body = "{";
          for (const char* name : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"}) {
            body += std::string("\"") + name + "\":\"" + server.url("/" + std::string(name)) + "\",";
          }
          return test::response(200, body + "\"x\":null}", "Content-Type: application/json\r\n");
        })) {}
  test::Server server;
};

Flow<Result<void>> nothing(bool good) {
  (void)co_await wait(1ms);
  if (!good) co_return Error(Errc::dns, "doing nothing");
  co_return Result<void>();
}

Flow<Result<void>> nothing_but_wait() {
  Result<void> waited = co_await wait(1h);
  co_return waited;
}

Flow<Result<int>> number() {
  (void)co_await wait(1ms);
  co_return 42;
}

}  // namespace

TEST_CASE("blocking: connecting, flows of one's own, errors thrown") {
  DirectoryServer ca;
  blocking::AcmeClient client(ca.server.url("/directory"));
  CHECK(client.directory().new_order == ca.server.url("/newOrder"));
  CHECK(client.run(number()) == 42);
  CHECK_NOTHROW(client.run(nothing(true)));
  CHECK_THROWS_AS(client.run(nothing(false)), Error);
  CHECK_THROWS_AS(client.new_account(AccountKey::generate("ec:P-256"), AccountOptions()), Error);
  CHECK_THROWS_AS(blocking::AcmeClient("http://127.0.0.1:1/directory"), Error);
  CHECK_THROWS_AS(blocking::AcmeClient(ca.server.url("/none")), Error);

  blocking::AcmeClient same = client;
  same.cancel();
  CHECK_THROWS_WITH_AS(client.run(nothing_but_wait()), doctest::Contains("cancelled"), Error);
}

TEST_CASE("awaitable: connecting, flows of one's own, errors thrown") {
  DirectoryServer ca;
  asio::io_context context;
  const auto story = [](std::string base) -> asio::awaitable<std::string> {
    std::string told;
    const std::string url = base + "/directory";
    AcmeClient client = co_await AcmeClient::connect(url);
    told += client.directory().new_order + "|";
    const int answer = co_await client.run(number());
    told += std::to_string(answer) + "|";
    co_await client.run(nothing(true));
    try {
      co_await client.run(nothing(false));
    } catch (const Error& error) {
      told += std::string(to_string(error.code())) + "|";
    }
    try {
      AccountKey key = AccountKey::generate("ec:P-256");
      AccountOptions options;
      Account account = co_await client.new_account(key, options);
    } catch (const Error& error) {
      told += std::to_string(error.http_status()) + "|";
    }
    try {
      AcmeClient other = co_await AcmeClient::connect(base + "/none");
    } catch (const Error& error) {
      told += "no directory";
    }
    co_return told;
  };
  std::future<std::string> told = asio::co_spawn(context, story(ca.server.url("")), asio::use_future);
  context.run();
  CHECK(told.get() == ca.server.url("/newOrder") + "|42|dns|500|no directory");
}

TEST_CASE("awaitable: a client may go before the operation it began") {
  DirectoryServer ca;
  asio::io_context context;
  std::future<int> answer;
  const auto begin = [&answer, &context](std::string url) -> asio::awaitable<void> {
    AcmeClient client = co_await AcmeClient::connect(url);
    answer = asio::co_spawn(context, client.run(number()), asio::use_future);
  };
  asio::co_spawn(context, begin(ca.server.url("/directory")), asio::use_future);
  context.run();
  CHECK(answer.get() == 42);
}
