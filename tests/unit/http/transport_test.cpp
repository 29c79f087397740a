// What travels, what is refused, and what errors say. Over the blocking driver, one request at a time.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "culmen/driver.hpp"
#include "culmen/version.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_server.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::answering;

namespace {

Flow<Result<HttpResponse>> send_flow(HttpRequest request) {
  Result<HttpResponse> response = co_await send(std::move(request));
  co_return response;
}

Result<HttpResponse> ask(drivers::BlockingDriver& driver, HttpRequest request) {
  Execution<Result<HttpResponse>> execution(send_flow(std::move(request)), &drivers::instant_now);
  driver.drive(execution);
  return execution.result();
}

Result<HttpResponse> ask(const TransportOptions& options, HttpRequest request) {
  drivers::BlockingDriver driver(options, nullptr);
  return ask(driver, std::move(request));
}

Result<HttpResponse> http_get(const std::string& url, const TransportOptions& options = {}) {
  return ask(options, HttpRequest(HttpMethod::get, url));
}

bool says(const Error& error, std::string_view words) {
  const bool found = std::string_view(error.what()).find(words) != std::string_view::npos;
  if (!found) MESSAGE("the error says: ", std::string(error.what()));
  return found;
}

std::string echo(const test::Request& request) {
  std::string body = request.method + " " + request.target + "\n";
  for (const auto& [name, value] : request.headers) body += name + "=" + value + "\n";
  return test::response(200, body + "\n" + request.body, "X-Number: " + std::to_string(request.connection) + "\r\n");
}

}  // namespace

TEST_CASE("a POST carries the body, its type, the user agent and the language, and nothing it should not") {
  test::Server server(answering(echo));
  TransportOptions options;
  options.user_agent = "my-server/1.2";
  options.accept_language = "de, en;q=0.5";
  HttpRequest request(HttpMethod::post, server.url("/new-order?x=1"));
  request.body = std::string("{\"a\":\0}", 7);
  request.content_type = "application/jose+json";
  const auto response = ask(options, request);
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->url == request.url);
  CHECK(response->header("x-number") == "1");
  CHECK(response->body.starts_with("POST /new-order?x=1\n"));
  CHECK(response->body.ends_with("\n\n" + request.body));
  CHECK(response->body.find("\ncontent-type=application/jose+json\n") != std::string::npos);
  CHECK(response->body.find("\naccept-language=de, en;q=0.5\n") != std::string::npos);
  CHECK(response->body.find("\nuser-agent=my-server/1.2 culmen/" CULMEN_VERSION " libcurl/") != std::string::npos);
  CHECK(response->body.find("\naccept=") == std::string::npos);
  CHECK(response->body.find("\nexpect=") == std::string::npos);
  CHECK(response->body.find("\naccept-encoding=") == std::string::npos);
}

TEST_CASE("a POST goes out once, also when the connection that was kept breaks under it") {
  std::atomic<int> arrived = 0;
  test::Server server([&arrived](test::Connection& connection) {
    // One answer, then silence: the second request is read and the connection closed.
    if (!connection.read_request()) return;
    if (!connection.write(test::response(200, "first"))) return;
    if (connection.read_request()) ++arrived;
  });
  drivers::BlockingDriver driver(TransportOptions(), nullptr);
  HttpRequest first(HttpMethod::post, server.url("/"));
  first.body = "one";
  REQUIRE(ask(driver, first));
  HttpRequest second(HttpMethod::post, server.url("/"));
  second.body = "two";
  const auto response = ask(driver, second);
  REQUIRE_FALSE(response);
  CHECK(response.error().code() == Errc::connection_failed);
  CHECK(arrived == 1);
}

TEST_CASE("an empty POST, an Accept header, a HEAD") {
  test::Server server(answering([](const test::Request& request) {
    if (request.method == "HEAD")
      return std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nReplay-Nonce: n1\r\n\r\n");
    return echo(request);
  }));
  drivers::BlockingDriver driver(TransportOptions(), nullptr);
  HttpRequest request(HttpMethod::post, server.url());
  request.accept = "application/pem-certificate-chain";
  const auto posted = ask(driver, request);
  REQUIRE(posted);
  CHECK(posted->body.find("content-length=0\n") != std::string::npos);
  CHECK(posted->body.find("accept=application/pem-certificate-chain\n") != std::string::npos);
  CHECK(posted->body.find("content-type=") == std::string::npos);
  const auto head = ask(driver, HttpRequest(HttpMethod::head, server.url()));
  REQUIRE(head);
  CHECK(head->header("replay-nonce") == "n1");
  CHECK(head->body.empty());
  CHECK(server.connections() == 1);
}

TEST_CASE("headers: lower-case names, several of one name, interim responses and trailers left out") {
  test::Server server(answering([](const test::Request&) {
    return std::string(
        "HTTP/1.1 103 Early\r\nLink: <early>\r\n\r\n"
        "HTTP/1.1 201 Created\r\nLINK: <a>;rel=\"x\"\r\nlink:<b>\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n"
        "X-Odd:   spaced  \r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: no\r\n\r\n");
  }));
  const auto response = http_get(server.url());
  REQUIRE(response);
  CHECK(response->status == 201);
  CHECK(response->body == "abcde");
  const auto links = response->all_headers("link");
  REQUIRE(links.size() == 2);
  CHECK(links[0] == "<a>;rel=\"x\"");
  CHECK(links[1] == "<b>");
  CHECK(response->header("x-odd") == "spaced");
  CHECK_FALSE(response->header("x-late"));
}

TEST_CASE("trailers are left out after an empty body, too") {
  test::Server server(answering([](const test::Request&) {
    return std::string(
        "HTTP/1.1 103 Early\r\nLink: <early>\r\n\r\n"
        "HTTP/1.1 201 Created\r\nX-Early: yes\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 9999\r\n\r\n");
  }));
  const auto response = http_get(server.url());
  REQUIRE(response);
  CHECK(response->status == 201);
  CHECK(response->header("x-early") == "yes");
  CHECK_FALSE(response->header("retry-after"));
  CHECK_FALSE(response->header("link"));
}

TEST_CASE("the response to a HEAD may name any length") {
  test::Server server(answering([](const test::Request&) {
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\nReplay-Nonce: n1\r\n\r\n");
  }));
  drivers::BlockingDriver driver(TransportOptions(), nullptr);
  const auto head = ask(driver, HttpRequest(HttpMethod::head, server.url()));
  REQUIRE_MESSAGE(head, head.error().what());
  CHECK(head->header("replay-nonce") == "n1");
  const auto body = ask(driver, HttpRequest(HttpMethod::get, server.url()));  // on the same handle
  REQUIRE_FALSE(body);
  CHECK(body.error().code() == Errc::response_too_large);
}

TEST_CASE("a URL's path travels as it is signed") {
  test::Server server(answering(echo));
  const auto response = http_get(server.url("/a/../b/./c"));
  REQUIRE(response);
  CHECK(response->body.starts_with("GET /a/../b/./c\n"));
}

TEST_CASE("redirects are followed for GET, five of them, and never for POST or HEAD") {
  std::atomic<int> seen = 0;
  test::Server server(answering([&seen](const test::Request& request) {
    ++seen;
    const int left = std::stoi(request.target.substr(1));
    if (left == 0) return test::response(200, "here");
    return test::response(302, "elsewhere", "Location: /" + std::to_string(left - 1) + "\r\n");
  }));
  const auto five = http_get(server.url("/5"));
  REQUIRE(five);
  CHECK(five->status == 200);
  CHECK(five->body == "here");
  CHECK(five->url == server.url("/0"));

  const auto six = http_get(server.url("/6"));
  REQUIRE_FALSE(six);
  CHECK(six.error().code() == Errc::bad_response);
  CHECK(says(six.error(), "redirected more than 5 times"));

  for (const HttpMethod method : {HttpMethod::post, HttpMethod::head}) {
    seen = 0;
    const auto not_followed = ask(TransportOptions(), HttpRequest(method, server.url("/3")));
    REQUIRE(not_followed);
    CHECK(not_followed->status == 302);
    CHECK(seen == 1);
  }
}

TEST_CASE("a redirect leads nowhere that a request may not go") {
  std::string target;
  test::Server server(
      answering([&target](const test::Request&) { return test::response(301, "", "Location: " + target + "\r\n"); }));
  for (const char* bad : {"http://example.com/", "ftp://127.0.0.1/", "file:///etc/passwd", "https://a:b@localhost/"}) {
    CAPTURE(bad);
    target = bad;
    const auto response = http_get(server.url());
    REQUIRE_FALSE(response);
    CHECK(response.error().code() == Errc::bad_response);
    CHECK(says(response.error(), "redirected to "));
  }
}

TEST_CASE("http is for this machine, or for who asked for it") {
  for (const char* url :
       {"http://example.com/directory", "http://localhost.example.com/", "http://127.0.0.1.nip.io/"}) {
    CAPTURE(url);
    const auto refused = http_get(url);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::invalid_argument);
    CHECK(says(refused.error(), "https://"));
  }
  for (const char* url : {"", "example.com", "ftp://example.com/", "https://", "http://localhost:1@example.com/",
                          "https://user:secret@localhost/", "https://local host/", "file:///etc/passwd"}) {
    CAPTURE(url);
    const auto refused = http_get(url);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::invalid_argument);
  }
  test::Server server(answering(echo));
  TransportOptions options;
  options.resolve = "ca.example:" + std::to_string(server.port()) + ":127.0.0.1";
  const std::string url = "http://ca.example:" + std::to_string(server.port()) + "/x";
  CHECK_FALSE(http_get(url, options));
  options.allow_insecure_http = true;
  const auto response = http_get(url, options);
  REQUIRE(response);
  CHECK(response->body.starts_with("GET /x\n"));
}

TEST_CASE("resolve rules: several, several addresses, and what is no rule") {
  test::Server server(answering(echo));
  const std::string port = std::to_string(server.port());
  TransportOptions options;
  options.allow_insecure_http = true;
  options.resolve = "a.example:" + port + ":127.0.0.1,b.example:" + port + ":[::1],127.0.0.1";
  CHECK(http_get("http://a.example:" + port + "/", options));
  CHECK(http_get("http://b.example:" + port + "/", options));
  options.resolve = "a.example";
  CHECK_THROWS_WITH_AS(drivers::BlockingDriver(options, nullptr), doctest::Contains("host:port:address"), Error);
}

TEST_CASE("bodies over the limit are refused, announced or not") {
  test::Server server([](test::Connection& connection) {
    const auto request = connection.read_request();
    if (!request) return;
    if (request->target == "/announced") {
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
    } else {
      connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const std::string chunk = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
      while (connection.write(chunk)) {
      }
    }
    std::this_thread::sleep_for(20ms);
  });
  TransportOptions options;
  options.max_response_bytes = 100000;
  for (const char* path : {"/announced", "/endless"}) {
    CAPTURE(path);
    const auto response = http_get(server.url(path), options);
    REQUIRE_FALSE(response);
    CHECK(response.error().code() == Errc::response_too_large);
    CHECK(says(response.error(), "100000"));
    CHECK(says(response.error(), "GET http://127.0.0.1:"));
  }
}

TEST_CASE("a body of exactly the limit is fine") {
  test::Server server(answering([](const test::Request&) { return test::response(200, std::string(1000, 'x')); }));
  TransportOptions options;
  options.max_response_bytes = 1000;
  CHECK(http_get(server.url(), options));
  options.max_response_bytes = 999;
  CHECK_FALSE(http_get(server.url(), options));
}

TEST_CASE("headers without end are refused") {
  test::Server server([](test::Connection& connection) {
    if (!connection.read_request()) return;
    connection.write("HTTP/1.1 200 OK\r\n");
    while (connection.write("X-Filler: " + std::string(500, 'x') + "\r\n")) {
    }
  });
  const auto response = http_get(server.url());
  REQUIRE_FALSE(response);
  CHECK(response.error().code() == Errc::response_too_large);
}

TEST_CASE("a header line without end is refused") {
  test::Server server([](test::Connection& connection) {
    if (!connection.read_request()) return;
    connection.write("HTTP/1.1 200 OK\r\nX-Filler: ");
    while (connection.write(std::string(500, 'x'))) {
    }
  });
  const auto response = http_get(server.url());
  REQUIRE_FALSE(response);
  CHECK_MESSAGE(response.error().code() == Errc::response_too_large, response.error().what());
}

TEST_CASE("a response that ends in the middle of its header is lost, not a success") {
  const std::vector<std::string> heads = {"HTTP/1.1 201 Created\r\n",
                                          "HTTP/1.1 201 Created\r\nLocation: /a\r\nReplay-No",
                                          "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nLocation: /a\r\n"};
  for (const std::string& head : heads) {
    test::Server server([&head](test::Connection& connection) {
      if (connection.read_request()) connection.write(head);
    });
    for (const HttpMethod method : {HttpMethod::get, HttpMethod::head, HttpMethod::post}) {
      const auto response = ask({}, HttpRequest(method, server.url()));
      REQUIRE_FALSE(response);
      CHECK_MESSAGE(response.error().code() == Errc::connection_failed, response.error().what());
      CHECK(says(response.error(), "in the middle of its answer"));
      CHECK(http_failure(response.error()) == HttpFailure::other);
    }
  }
}

TEST_CASE("a status or a version that there is not is the server's fault") {
  for (const std::string status : {"HTTP/1.1 000 Nothing", "HTTP/3.7 200 OK"}) {
    test::Server server(
        answering([&status](const test::Request&) { return status + "\r\nContent-Length: 0\r\n\r\n"; }));
    const auto response = http_get(server.url());
    REQUIRE_FALSE(response);
    CHECK_MESSAGE(response.error().code() == Errc::bad_response, response.error().what());
  }
}

TEST_CASE("what breaks on the way has a code and a reason") {
  test::Server server([](test::Connection& connection) {
    const auto request = connection.read_request();
    if (!request) return;
    if (request->target == "/garbage") connection.write("\x01\x02garbage\r\n\r\n");
    if (request->target == "/half") connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    if (request->target == "/badlength") connection.write("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n");
  });
  const auto garbage = http_get(server.url("/garbage"));
  REQUIRE_FALSE(garbage);
  CHECK(garbage.error().code() == Errc::bad_response);
  CHECK(says(garbage.error(), "does not speak HTTP"));
  const auto half = http_get(server.url("/half"));
  REQUIRE_FALSE(half);
  CHECK(half.error().code() == Errc::connection_failed);
  CHECK(says(half.error(), "in the middle of its answer"));
  const auto nothing = http_get(server.url("/nothing"));
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code() == Errc::connection_failed);
  CHECK(says(nothing.error(), "closed the connection without an answer"));
  const auto length = http_get(server.url("/badlength"));
  REQUIRE_FALSE(length);
  CHECK(length.error().code() == Errc::bad_response);
}

TEST_CASE("refused, not resolved, not answered") {
  int port = 0;
  {
    test::Server gone(answering(echo));
    port = gone.port();
  }
  const auto refused = http_get("http://127.0.0.1:" + std::to_string(port) + "/");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::connection_failed);
  CHECK(refused.error().system_code() == std::errc::connection_refused);
  CHECK(says(refused.error(), "refused"));
  CHECK(says(refused.error(), "127.0.0.1:" + std::to_string(port)));
  CHECK(is_worth_retrying(refused.error()));

  const auto unresolved = http_get("https://does-not-exist.invalid/directory");
  REQUIRE_FALSE(unresolved);
  CHECK(unresolved.error().code() == Errc::connection_failed);
  CHECK(says(unresolved.error(), "the name of does-not-exist.invalid was not resolved"));

  test::Server silent([](test::Connection& connection) {
    while (connection.read_request()) {
    }
  });
  TransportOptions options;
  options.request_timeout = 1s;
  const auto late = http_get(silent.url(), options);
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == Errc::timeout);
  CHECK(says(late.error(), "did not answer in time"));

  options.request_timeout = 60s;
  options.stall_timeout = 1s;
  const auto stalled = http_get(silent.url(), options);
  REQUIRE_FALSE(stalled);
  CHECK(stalled.error().code() == Errc::timeout);
}

TEST_CASE("TLS: a trusted root, and why the others are not") {
  test::TemporaryFolder folder;
  const test::Identity root = test::make_identity("Test Root", "", nullptr);
  const test::Identity other_root = test::make_identity("Other Root", "", nullptr);
  const std::string name = "DNS:localhost,IP:127.0.0.1";
  TransportOptions trusting;
  trusting.extra_root_file = folder.write("root.pem", "a comment\r\n" + root.certificate_pem());

  SUBCASE("good, with the system's roots and without them") {
    const test::Identity leaf = test::make_identity("leaf", name, &root);
    test::Server server(answering(echo), &leaf);
    CHECK(http_get(server.url(), trusting));
    trusting.only_extra_root = true;
    CHECK(http_get(server.url(), trusting));
    CHECK(http_get("https://127.0.0.1:" + std::to_string(server.port()) + "/", trusting));
  }
  SUBCASE("unknown authority") {
    const test::Identity leaf = test::make_identity("leaf", name, &other_root);
    test::Server server(answering(echo), &leaf);
    for (const TransportOptions& options : {trusting, TransportOptions()}) {
      const auto response = http_get(server.url(), options);
      REQUIRE_FALSE(response);
      CHECK(response.error().code() == Errc::tls_failed);
      CHECK(says(response.error(), "unknown authority"));
      CHECK(says(response.error(), "localhost:" + std::to_string(server.port())));
    }
  }
  SUBCASE("expired") {
    const test::Identity leaf = test::make_identity("leaf", name, &root, -7200, -3600);
    test::Server server(answering(echo), &leaf);
    const auto response = http_get(server.url(), trusting);
    REQUIRE_FALSE(response);
    CHECK(response.error().code() == Errc::tls_failed);
    CHECK(says(response.error(), "has expired"));
  }
  SUBCASE("not yet valid") {
    const test::Identity leaf = test::make_identity("leaf", name, &root, 3600, 7200);
    test::Server server(answering(echo), &leaf);
    const auto response = http_get(server.url(), trusting);
    REQUIRE_FALSE(response);
    CHECK(response.error().code() == Errc::tls_failed);
    CHECK(says(response.error(), "not yet valid; is the clock"));
  }
  SUBCASE("another name, another address") {
    const test::Identity leaf = test::make_identity("leaf", "DNS:other.example,IP:127.0.0.2", &root);
    test::Server server(answering(echo), &leaf);
    for (const std::string& host : {std::string("localhost"), std::string("127.0.0.1")}) {
      const auto response = http_get("https://" + host + ":" + std::to_string(server.port()) + "/", trusting);
      REQUIRE_FALSE(response);
      CHECK(response.error().code() == Errc::tls_failed);
      CHECK(says(response.error(), "is for another name"));
      CHECK(says(response.error(), host));
    }
  }
  SUBCASE("https to a port that is not") {
    test::Server server([](test::Connection& connection) { connection.write(test::response(400, "TLS? Here?")); });
    const auto response = http_get("https://127.0.0.1:" + std::to_string(server.port()) + "/", trusting);
    REQUIRE_FALSE(response);
    CHECK(response.error().code() == Errc::tls_failed);
    CHECK(says(response.error(), "is that port for http://?"));
  }
  SUBCASE("no way down from https") {
    const test::Identity leaf = test::make_identity("leaf", name, &root);
    test::Server plain(answering(echo));
    test::Server server(answering([&plain](const test::Request&) {
                          return test::response(302, "", "Location: " + plain.url() + "\r\n");
                        }),
                        &leaf);
    const auto response = http_get(server.url(), trusting);
    REQUIRE_FALSE(response);
    CHECK(says(response.error(), "redirected from https to http://"));
  }
}

TEST_CASE("a root file that is none is named at once") {
  test::TemporaryFolder folder;
  const std::string missing = (folder.path() / "missing.pem").string();
  const test::Identity root = test::make_identity("Test Root", "", nullptr);
  const std::string broken = root.certificate_pem().replace(100, 10, "AAAAAAAAAA");
  for (const std::string& file : {missing, folder.write("empty.pem", ""), folder.write("garbage.pem", "not PEM"),
                                  folder.write("broken.pem", broken), folder.path().string()}) {
    CAPTURE(file);
    TransportOptions options;
    options.extra_root_file = file;
    CHECK_THROWS_WITH_AS(drivers::BlockingDriver(options, nullptr), doctest::Contains(file.c_str()), Error);
  }
  TransportOptions options;
  options.only_extra_root = true;
  CHECK_THROWS_WITH_AS(drivers::BlockingDriver(options, nullptr), doctest::Contains("extra_root_file"), Error);
}

TEST_CASE("options cannot smuggle header lines in") {
  TransportOptions options;
  options.user_agent = "evil\r\nX-Injected: yes";
  CHECK_THROWS_WITH_AS(drivers::BlockingDriver(options, nullptr), doctest::Contains("user_agent"), Error);
}

TEST_CASE("a unix socket in place of host and port") {
  test::TemporaryFolder folder;
  const std::string path = (folder.path() / "ca.sock").string();
  test::Server server(answering(echo), path);
  TransportOptions options;
  options.unix_socket = path;
  const auto response = http_get("http://ca.internal/directory", options);
  REQUIRE(response);
  CHECK(response->body.find("GET /directory\n") == 0);
  CHECK(response->body.find("host=ca.internal\n") != std::string::npos);
  options.unix_socket = (folder.path() / "none.sock").string();
  const auto none = http_get("http://ca.internal/directory", options);
  REQUIRE_FALSE(none);
  CHECK(none.error().code() == Errc::connection_failed);
  CHECK(says(none.error(), "none.sock"));
}

TEST_CASE("a proxy: absolute form for http, a tunnel for https, and what its failures say") {
  const test::Identity root = test::make_identity("Test Root", "", nullptr);
  const test::Identity leaf = test::make_identity("leaf", "DNS:ca.example", &root);
  test::TemporaryFolder folder;
  test::Server upstream(answering(echo), &leaf);
  std::atomic<int> tunnels = 0;
  test::Server proxy([&](test::Connection& connection) {
    const auto request = connection.read_request();
    if (!request) return;
    if (request->method != "CONNECT") {
      connection.write(test::response(200, "proxied " + request->target));
    } else if (request->target.starts_with("ca.example:")) {
      ++tunnels;
      connection.write("HTTP/1.1 200 Connected\r\n\r\n");
      const int far = test::connect_to(upstream.port());
      test::relay(connection.descriptor(), far);
      ::close(far);
    } else {
      connection.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
  });
  TransportOptions options;
  options.proxy = proxy.url("");
  options.extra_root_file = folder.write("root.pem", root.certificate_pem());
  options.allow_insecure_http = true;

  const auto plain = http_get("http://ca.example/directory", options);
  REQUIRE(plain);
  CHECK(plain->body == "proxied http://ca.example/directory");

  const auto tunnelled = http_get("https://ca.example/directory", options);
  REQUIRE(tunnelled);
  CHECK(tunnelled->body.starts_with("GET /directory\n"));
  CHECK(tunnels == 1);

  const auto forbidden = http_get("https://forbidden.example/", options);
  REQUIRE_FALSE(forbidden);
  CHECK(forbidden.error().code() == Errc::connection_failed);
  CHECK(says(forbidden.error(), "the proxy (" + options.proxy));
  CHECK(says(forbidden.error(), "403"));

  options.proxy = "http://no-such-proxy.invalid:3128";
  const auto lost = http_get("https://ca.example/", options);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code() == Errc::connection_failed);
  CHECK(says(lost.error(), "no-such-proxy.invalid"));
}

TEST_CASE("the environment's proxy only when asked for") {
  test::Server proxy(
      answering([](const test::Request& request) { return test::response(200, "proxied " + request.target); }));
  test::Server server(answering(echo));
  ::setenv("http_proxy", proxy.url("").c_str(), 1);
  ::setenv("no_proxy", "not.example", 1);
  const auto direct = http_get(server.url());
  TransportOptions options;
  options.proxy_from_environment = true;
  const auto proxied = http_get(server.url("/x"), options);
  // An explicit proxy is used whatever no_proxy says.
  ::setenv("no_proxy", "*", 1);
  options.proxy_from_environment = false;
  options.proxy = proxy.url("");
  const auto explicit_one = http_get(server.url("/y"), options);
  ::unsetenv("http_proxy");
  ::unsetenv("no_proxy");
  REQUIRE(direct);
  CHECK(direct->body.starts_with("GET /\n"));
  REQUIRE(proxied);
  CHECK(proxied->body == "proxied " + server.url("/x"));
  REQUIRE(explicit_one);
  CHECK(explicit_one->body == "proxied " + server.url("/y"));
}

TEST_CASE("each exchange is logged in one line, and a log that throws does no harm") {
  test::Server server(answering([](const test::Request&) { return test::response(404, "no"); }));
  std::vector<std::string> lines;
  drivers::BlockingDriver driver(TransportOptions(), [&lines](std::string_view line) {
    lines.emplace_back(line);
    throw std::runtime_error("log full");
  });
  const auto missing = ask(driver, HttpRequest(HttpMethod::get, server.url("/secret\xc3\xa9")));
  REQUIRE(missing);
  CHECK(missing->status == 404);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("GET http://127.0.0.1:"));
  CHECK(lines[0].find(" 404 ") != std::string::npos);
  CHECK(lines[0].ends_with(" ms"));
  CHECK_FALSE(ask(driver, HttpRequest(HttpMethod::get, "http://127.0.0.1:1/")));
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].find(" failed: ") != std::string::npos);
}

TEST_CASE("the version names what culmen runs on") {
  const std::string text = version_text();
  CHECK(text.starts_with("culmen " CULMEN_VERSION " (OpenSSL "));
  CHECK(text.find(", libcurl ") != std::string::npos);
  CHECK(text.find(", Boost 1.") != std::string::npos);
}
