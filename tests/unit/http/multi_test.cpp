// How a Multi uses connections, withdraws, queues, and keeps exceptions out of curl's frames.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <list>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>

#include "http/multi.hpp"
#include "support/http2_server.hpp"
#include "support/multi_runner.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_server.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::answering;

namespace {

thread_local std::size_t largest_allocation = std::numeric_limits<std::size_t>::max();

// How many handles curl has, by the program's curl_multi_add_handle() and curl_multi_remove_handle().
thread_local int handles_in_curl = 0;
thread_local int most_handles_in_curl = 0;

std::string say_ok(const test::Request&) { return test::response(200, "ok"); }

HttpRequest get_of(const std::string& url) { return HttpRequest(HttpMethod::get, url); }

/// A TLS server, and options that trust it.
struct TlsServer {
  explicit TlsServer(test::Server::Serve serve, const std::function<void(SSL_CTX*)>& tune = {})
      : server(std::move(serve), &leaf, tune) {
    options.extra_root_file = folder.write("root.pem", root.certificate_pem());
    options.only_extra_root = true;
  }
  test::TemporaryFolder folder;
  test::Identity root = test::make_identity("Test Root", "", nullptr);
  test::Identity leaf = test::make_identity("leaf", "DNS:localhost", &root);
  test::Server server;
  TransportOptions options;
};

/// Lets a server that is held go on, also when a test ends early: the server waits for its threads.
struct ReleaseAtEnd {
  explicit ReleaseAtEnd(std::atomic<bool>& held_) : held(held_) {}
  ~ReleaseAtEnd() { held = false; }
  ReleaseAtEnd(const ReleaseAtEnd&) = delete;
  ReleaseAtEnd& operator=(const ReleaseAtEnd&) = delete;
  std::atomic<bool>& held;
};

/// Several requests at the same time, on behalf of this object.
class Batch {
 public:
  Batch(http::Multi& multi, const std::string& url, int count) : multi_(multi) {
    for (int i = 0; i < count; ++i) {
      SendAsk& ask = asks_.emplace_back(get_of(url));
      if (std::optional<Error> refused = multi.start(ask, this)) throw *refused;
    }
  }
  void finish() {
    test::perform_until(
        multi_, [this] { return succeeded + failed == static_cast<int>(asks_.size()); },
        [this](http::Multi::Finished&& finished) { ++(finished.answer ? succeeded : failed); });
  }
  int succeeded = 0;
  int failed = 0;

 private:
  http::Multi& multi_;
  std::list<SendAsk> asks_;
};

}  // namespace

// A stand-in for running out of memory.
void* operator new(std::size_t size) {
  if (size > largest_allocation) throw std::bad_alloc();
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" CURLMcode curl_multi_add_handle(CURLM* multi, CURL* handle) {
  using Function = CURLMcode (*)(CURLM*, CURL*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "curl_multi_add_handle"));
  most_handles_in_curl = std::max(most_handles_in_curl, ++handles_in_curl);
  return real(multi, handle);
}
extern "C" CURLMcode curl_multi_remove_handle(CURLM* multi, CURL* handle) {
  using Function = CURLMcode (*)(CURLM*, CURL*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "curl_multi_remove_handle"));
  --handles_in_curl;
  return real(multi, handle);
}

TEST_CASE("resolve rules hold for every transfer, on every Multi and thread") {
  test::Server server(answering(say_ok));
  TransportOptions options;
  options.allow_insecure_http = true;
  options.resolve = "+ca.culmen.invalid:" + std::to_string(server.port()) + ":127.0.0.1";
  http::Transport transport(options, nullptr);
  const std::string url = "http://ca.culmen.invalid:" + std::to_string(server.port()) + "/";
  const auto ask_twice = [&transport, &url] {
    http::Multi multi(transport);
    return test::perform(multi, get_of(url)) && test::perform(multi, get_of(url));
  };
  CHECK(ask_twice());
  CHECK(ask_twice());
  std::vector<std::thread> threads;
  std::atomic<int> resolved = 0;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { resolved += ask_twice() ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  CHECK(resolved == 4);
}

TEST_CASE("an exception in a callback of curl is the result of the exchange, and the Multi works on") {
  test::Server server(answering([](const test::Request&) { return test::response(200, std::string(500'000, 'x')); }));
  http::Transport transport({}, nullptr);
  http::Multi multi(transport);
  SendAsk ask(get_of(server.url()));
  REQUIRE_FALSE(multi.start(ask, nullptr));
  std::optional<Result<HttpResponse>> answer;
  largest_allocation = 200'000;
  test::perform_until(
      multi, [&answer] { return answer.has_value(); },
      [&answer](http::Multi::Finished&& finished) { answer = std::move(finished.answer); });
  largest_allocation = std::numeric_limits<std::size_t>::max();
  REQUIRE_FALSE(*answer);
  CHECK(answer->error().code() == Errc::io_failed);
  CHECK(std::string(answer->error().what()).find("bad_alloc") != std::string::npos);
  CHECK(test::perform(multi, get_of(server.url())));
}

TEST_CASE("who asked for it hears of each connection just before it is closed") {
  test::Server server(answering(say_ok));
  http::Transport transport({}, nullptr);
  std::vector<curl_socket_t> closed;
  {
    http::Multi* current = nullptr;
    http::Multi multi(transport, [&](curl_socket_t socket) {
      CHECK(::fcntl(socket, F_GETFD) == FD_CLOEXEC);
      closed.push_back(socket);
      throw std::runtime_error("of no consequence");
    });
    current = &multi;
    Batch batch(multi, server.url(), 3);
    batch.finish();
    CHECK(batch.succeeded == 3);
    CHECK(closed.empty());
    CHECK_FALSE(current->is_connection(0));
  }
  CHECK(static_cast<int>(closed.size()) == server.connections());
  for (const curl_socket_t socket : closed) CHECK(::fcntl(socket, F_GETFD) == -1);
}

TEST_CASE("all exchanges of an owner are withdrawn, those in the queue too, and others go on") {
  std::atomic<int> arrived = 0;
  std::atomic<bool> held = true;
  test::Server server(answering([&](const test::Request& request) {
    ++arrived;
    while (held && request.target == "/held") std::this_thread::sleep_for(1ms);
    return test::response(200, "ok");
  }));
  const ReleaseAtEnd release(held);
  TransportOptions options;
  options.max_connections = 4;
  http::Transport transport(options, nullptr);
  http::Multi multi(transport);
  {
    Batch held_back(multi, server.url("/held"), 50);
    Batch others(multi, server.url("/other"), 20);
    test::perform_until(multi, [&] { return arrived == 4; });
    multi.withdraw_all(&held_back);
    others.finish();
    CHECK(others.succeeded == 20);
  }
  CHECK(arrived == 24);
}

TEST_CASE("a request that is withdrawn lets the next one run") {
  std::atomic<bool> held = true;
  std::atomic<int> arrived = 0;
  test::Server server(answering([&](const test::Request& request) {
    ++arrived;
    while (held && request.target == "/held") std::this_thread::sleep_for(1ms);
    return test::response(200, "ok");
  }));
  const ReleaseAtEnd release(held);
  TransportOptions options;
  options.max_connections = 1;
  http::Transport transport(options, nullptr);
  http::Multi multi(transport);
  SendAsk first(get_of(server.url("/held")));
  REQUIRE_FALSE(multi.start(first, nullptr));
  Batch second(multi, server.url(), 1);
  test::perform_until(multi, [&arrived] { return arrived == 1; });
  multi.withdraw(first);
  second.finish();
  CHECK(second.succeeded == 1);
}

TEST_CASE("no more connections to one server than allowed") {
  test::Server server(answering([](const test::Request&) {
    std::this_thread::sleep_for(1ms);
    return test::response(200, "ok");
  }));
  for (const int allowed : {1, 2, 8}) {
    CAPTURE(allowed);
    TransportOptions options;
    options.max_connections = allowed;
    http::Transport transport(options, nullptr);
    http::Multi multi(transport);
    const int before = server.connections();
    most_handles_in_curl = 0;
    Batch batch(multi, server.url(), 200);
    batch.finish();
    CHECK(batch.succeeded == 200);
    CHECK(server.connections() - before == allowed);
    CHECK(most_handles_in_curl == allowed);  // the end of a transfer costs curl more with each handle that waits
  }
}

TEST_CASE("HTTP/1.1 for a request that is alone, HTTP/2 for those beside it, with a connection for each") {
  std::atomic<int> alone = 0;
  std::atomic<int> shared = 0;
  std::atomic<bool> held = false;
  TlsServer tls(
      [&](test::Connection& connection) {
        if (connection.speaks_http2()) return test::serve_http2(connection, [&shared] { ++shared; });
        while (connection.read_request()) {
          ++alone;
          while (held) std::this_thread::sleep_for(1ms);
          if (!connection.write(test::response(200, "ok"))) return;
        }
      },
      [](SSL_CTX* context) { test::offer_http2(context); });
  const ReleaseAtEnd release(held);
  http::Transport transport(tls.options, nullptr);
  http::Multi multi(transport);
  const std::string url = tls.server.url();

  for (int i = 0; i < 5; ++i) CHECK(test::perform(multi, get_of(url)));
  CHECK(alone == 5);
  CHECK(tls.server.connections() == 1);

  held = true;
  most_handles_in_curl = 0;
  Batch one(multi, url, 1);
  test::perform_until(multi, [&alone] { return alone == 6; });
  Batch many(multi, url, 250);
  many.finish();
  CHECK(many.succeeded == 250);
  CHECK(shared == 250);
  CHECK(most_handles_in_curl == 100);
  held = false;
  one.finish();
  CHECK(one.succeeded == 1);
  CHECK(tls.server.connections() == 2);

  for (int i = 0; i < 5; ++i) CHECK(test::perform(multi, get_of(url)));
  CHECK(alone == 11);
  Batch again(multi, url, 20);
  again.finish();
  CHECK(again.succeeded == 20);
  CHECK(tls.server.connections() == 2);
}

TEST_CASE("a server without HTTP/1.1 is asked by HTTP/2") {
  std::atomic<int> shared = 0;
  TlsServer tls([&](test::Connection& connection) { test::serve_http2(connection, [&shared] { ++shared; }); },
                [](SSL_CTX* context) { test::offer_http2(context, true); });
  http::Transport transport(tls.options, nullptr);
  http::Multi multi(transport);
  for (int i = 0; i < 3; ++i) CHECK(test::perform(multi, get_of(tls.server.url())));
  CHECK(shared == 3);
}

TEST_CASE("a server that speaks no HTTP/2 gets all the connections that are allowed") {
  TlsServer tls(answering([](const test::Request&) {
    std::this_thread::sleep_for(1ms);
    return test::response(200, "ok");
  }));
  http::Transport transport(tls.options, nullptr);
  http::Multi multi(transport);
  Batch batch(multi, tls.server.url(), 200);
  batch.finish();
  CHECK(batch.succeeded == 200);
  CHECK(tls.server.connections() == 8);
}

TEST_CASE("what waited in the queue for too long is not sent any more") {
  std::atomic<int> posts = 0;
  test::Server slow(test::answering([&posts](const test::Request& request) {
    if (request.method == "POST") ++posts;
    if (request.method == "GET") std::this_thread::sleep_for(150ms);
    return test::response(200, "");
  }));
  TransportOptions options;
  options.max_connections = 1;
  http::Transport transport(options, nullptr);
  http::Multi multi(transport);
  SendAsk first(HttpRequest(HttpMethod::get, slow.url()));
  HttpRequest post(HttpMethod::post, slow.url());
  post.time_limit = 50ms;
  SendAsk second(post);
  REQUIRE_FALSE(multi.start(first, nullptr));
  REQUIRE_FALSE(multi.start(second, nullptr));
  std::optional<Result<HttpResponse>> answer;
  test::perform_until(
      multi, [&answer] { return answer.has_value(); },
      [&](http::Multi::Finished&& finished) {
        if (&finished.ask == &second) answer = std::move(finished.answer);
      });
  REQUIRE_FALSE(*answer);
  CHECK(http_failure(answer->error()) == HttpFailure::not_sent);
  REQUIRE(test::perform(multi, HttpRequest(HttpMethod::head, slow.url())));  // on the same connection
  CHECK(posts == 0);
}

TEST_CASE("time in the queue counts") {
  test::Server silent([](test::Connection& connection) {
    while (connection.read_request()) {
    }
  });
  TransportOptions options;
  options.max_connections = 1;
  http::Transport transport(options, nullptr);
  http::Multi multi(transport);
  HttpRequest request(HttpMethod::get, silent.url());
  request.time_limit = 300ms;
  SendAsk first(request);
  SendAsk second(request);
  REQUIRE_FALSE(multi.start(first, nullptr));
  REQUIRE_FALSE(multi.start(second, nullptr));
  int failed = 0;
  const auto started = std::chrono::steady_clock::now();
  test::perform_until(
      multi, [&failed] { return failed == 2; },
      [&failed](http::Multi::Finished&& finished) { failed += finished.answer ? 0 : 1; });
  CHECK(std::chrono::steady_clock::now() - started < 550ms);
}
