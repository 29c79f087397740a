// The two faces: what they add to the engine's flows.
#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/cancel_token.hpp"
#include "culmen/engine.hpp"
#include "support/tiny_server.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

/// Serves a directory, and fails whatever else it is asked, for good: 501 is not asked again.
class DirectoryServer {
 public:
  DirectoryServer()
      : server(test::answering([this](const test::Request& request) {
          if (request.target != "/directory") return test::response(501, "not here");
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

Flow<Result<void>> nothing_but_wait(std::promise<void>& begun) {
  begun.set_value();
  Result<void> waited = co_await wait(1h);
  co_return waited;
}

Flow<Result<void>> short_rest() { co_return co_await wait(1ms); }

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
}

TEST_CASE("blocking: cancel() ends what a copy of the client does, and nothing later") {
  DirectoryServer ca;
  const blocking::AcmeClient client(ca.server.url("/directory"));
  std::promise<void> begun;
  std::thread canceller([same = client, &begun] {
    begun.get_future().wait();
    same.cancel();
  });
  CHECK_THROWS_WITH_AS(client.run(nothing_but_wait(begun)), doctest::Contains("cancelled"), Error);
  canceller.join();
  CHECK(client.run(number()) == 42);
}

TEST_CASE("blocking: a cancelled token ends a call at once, the constructor too") {
  DirectoryServer ca;
  const std::string url = ca.server.url("/directory");
  const CancelToken cancelled;
  cancelled.cancel();
  CHECK_THROWS_WITH_AS(blocking::AcmeClient(url, {}, cancelled), doctest::Contains("cancelled"), Error);

  const CancelToken token;
  const blocking::AcmeClient client(url, {}, token);
  CHECK_THROWS_WITH_AS(client.run(short_rest(), cancelled), doctest::Contains("cancelled"), Error);
  CHECK_NOTHROW(client.run(short_rest()));
  token.cancel();
  CHECK_THROWS_WITH_AS(client.run(short_rest()), doctest::Contains("cancelled"), Error);
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
  CHECK(told.get() == ca.server.url("/newOrder") + "|42|dns|501|no directory");
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

TEST_CASE("completion tokens: deferred, callbacks, an error, cancellation") {
  DirectoryServer ca;
  asio::io_context context;
  std::future<AcmeClient> connecting =
      AcmeClient::async_connect(context.get_executor(), ca.server.url("/directory"), {}, asio::use_future);
  context.run();
  const AcmeClient client = connecting.get();

  auto deferred = client.async_run(number());
  int answer = 0;
  std::move(deferred)([&answer](std::exception_ptr failed, int value) {
    CHECK_FALSE(failed);
    answer = value;
  });
  bool moved = false;  // a handler that cannot be copied
  client.async_run(number(), [&moved, own = std::make_unique<int>(42)](std::exception_ptr failed, int value) {
    moved = !failed && value == *own;
  });
  client.async_run(nothing(true), [own = std::make_unique<int>()](std::exception_ptr failed) { CHECK_FALSE(failed); });
  Errc code = {};
  int status = 0;
  client.async_new_account(AccountKey::generate(), AccountOptions(),
                           [&code, &status](std::exception_ptr failed, const Account& account) {
                             CHECK_FALSE(account.key.private_key());
                             try {
                               std::rethrow_exception(failed);
                             } catch (const Error& error) {
                               code = error.code();
                               status = error.http_status();
                             }
                           });
  asio::cancellation_signal signal;
  bool cancelled = false;
  std::promise<void> begun;
  client.async_run(nothing_but_wait(begun),
                   asio::bind_cancellation_slot(signal.slot(), [&cancelled](std::exception_ptr failed) {
                     CHECK_THROWS_WITH_AS(std::rethrow_exception(failed), doctest::Contains("cancelled"), Error);
                     cancelled = true;
                   }));
  context.restart();
  std::future<void> has_begun = begun.get_future();
  while (has_begun.wait_for(0s) != std::future_status::ready) context.run_one();
  signal.emit(asio::cancellation_type::terminal);
  context.run();
  CHECK(answer == 42);
  CHECK(moved);
  CHECK(code == Errc::http_status);
  CHECK(status == 501);
  CHECK(cancelled);
}

TEST_CASE("completion tokens: every kind of cancellation ends connecting") {
  DirectoryServer ca;
  for (const auto kind :
       {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
    asio::io_context context;
    asio::cancellation_signal signal;
    bool cancelled = false;
    AcmeClient::async_connect(context.get_executor(), ca.server.url("/directory"), {},
                              asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failed, AcmeClient) {
                                cancelled = failed != nullptr;
                              }));
    signal.emit(kind);
    context.run();
    CHECK(cancelled);
  }
}

TEST_CASE("completion tokens: the handler's executor, and an operation that is never run to its end") {
  DirectoryServer ca;
  asio::thread_pool pool(1);
  std::thread::id called_on;
  std::thread::id pool_thread;
  asio::post(pool, [&pool_thread] { pool_thread = std::this_thread::get_id(); });
  asio::io_context context;
  {
    std::future<AcmeClient> connecting =
        AcmeClient::async_connect(context.get_executor(), ca.server.url("/directory"), {}, asio::use_future);
    context.run();
    const AcmeClient client = connecting.get();
    client.async_run(number(), asio::bind_executor(pool, [&called_on](std::exception_ptr, int) {
                       called_on = std::this_thread::get_id();
                     }));
    context.restart();
    context.run();
    pool.join();
    CHECK(called_on == pool_thread);
    // Neither the deferred operation nor the one below ever ends: both are destroyed.
    auto unused = client.async_run(number());
    std::promise<void> begun;
    client.async_run(nothing_but_wait(begun), [](std::exception_ptr) { FAIL("called"); });
    context.restart();
    context.run_for(20ms);
  }
}
