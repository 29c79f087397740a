// What a request can say, and what it may not.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "http/multi.hpp"
#include "support/multi_runner.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_server.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::answering;

namespace {

std::string echo_request(const test::Request& request) {
  std::string body = request.method + " " + request.target + "\n";
  for (const auto& [name, value] : request.headers) body += name + "=" + value + "\n";
  return test::response(200, body + "\n" + request.body);
}

/// One request on a Multi of its own.
Result<HttpResponse> send_once(const HttpRequest& request, const TransportOptions& options = {},
                               const LogCallback& log = nullptr) {
  http::Transport transport(options, log);
  http::Multi multi(transport);
  return test::perform(multi, request);
}

void check_refused(const HttpRequest& request, Errc code, const std::string& words) {
  const auto response = send_once(request);
  REQUIRE_FALSE(response);
  CHECK(response.error().code() == code);
  CHECK_MESSAGE(std::string(response.error().what()).find(words) != std::string::npos, response.error().what());
}

}  // namespace

TEST_CASE("every method, with and without a body, one after another on the same connection") {
  test::Server server(answering([](const test::Request& request) {
    return request.method == "HEAD" ? test::response(200, "") : echo_request(request);
  }));
  http::Transport transport({}, nullptr);
  http::Multi multi(transport);
  const auto said = [&](HttpMethod method, const std::string& body) {
    HttpRequest request(method, server.url("/x"));
    request.body = body;
    const auto response = test::perform(multi, request);
    REQUIRE(response);
    return response->body;
  };
  for (int round = 0; round < 2; ++round) {
    CHECK(said(HttpMethod::put, "new").starts_with("PUT /x\n"));
    CHECK(said(HttpMethod::get, "").starts_with("GET /x\n"));
    CHECK(said(HttpMethod::put, "").find("content-length=0\n") != std::string::npos);
    CHECK(said(HttpMethod::patch, "part").ends_with("\n\npart"));
    CHECK(said(HttpMethod::head, "").empty());
    CHECK(said(HttpMethod::del, "").starts_with("DELETE /x\n"));
    CHECK(said(HttpMethod::del, "").find("content-length") == std::string::npos);
    CHECK(said(HttpMethod::del, "these").ends_with("\n\nthese"));
    CHECK(said(HttpMethod::post, "more").starts_with("POST /x\n"));
    CHECK(said(HttpMethod::get, "").find("content-") == std::string::npos);
  }
  CHECK(server.connections() == 1);
}

TEST_CASE("headers of a request replace those that the transport adds") {
  test::Server server(answering(echo_request));
  HttpRequest request(HttpMethod::post, server.url());
  request.content_type = "application/json";
  request.accept = "text/plain";
  request.headers.emplace_back("X-Api-Key", "k\t1", true);
  request.headers.emplace_back("x-empty", "");
  request.headers.emplace_back("ACCEPT", "application/json");
  request.headers.emplace_back("User-Agent", "mine");
  const auto response = send_once(request);
  REQUIRE(response);
  for (const char* line : {"\nx-api-key=k\t1\n", "\nx-empty=\n", "\naccept=application/json\n", "\nuser-agent=mine\n",
                           "\ncontent-type=application/json\n", "\naccept-language=en\n"}) {
    CHECK_MESSAGE(response->body.find(line) != std::string::npos, response->body);
  }
}

TEST_CASE("what would break out of a header is refused, and no error shows a value") {
  const std::string url = "https://127.0.0.1:1/";
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a:"), std::string("a\r\nb"),
                                  std::string("\0", 1), std::string("\xc3\xa9")}) {
    HttpRequest request(HttpMethod::get, url);
    request.headers.emplace_back(name, "v");
    check_refused(request, Errc::invalid_argument, "is not a token");
  }
  for (const std::string& value :
       {std::string("s3cret\r\nX: y"), std::string("s3cret\n"), std::string("s3cret\0", 7)}) {
    HttpRequest request(HttpMethod::get, url);
    request.headers.emplace_back("Authorization", value, true);
    check_refused(request, Errc::invalid_argument, "control character");
    CHECK(std::string(send_once(request).error().what()).find("s3cret") == std::string::npos);
    HttpRequest accepting(HttpMethod::get, url);
    accepting.accept = value;
    check_refused(accepting, Errc::invalid_argument, "\"Accept\"");
    HttpRequest typed(HttpMethod::post, url);
    typed.content_type = value;
    check_refused(typed, Errc::invalid_argument, "\"Content-Type\"");
  }
  HttpRequest framed(HttpMethod::post, url);
  framed.headers.emplace_back("Content-Length", "3");
  check_refused(framed, Errc::invalid_argument, "set by the HTTP transport");
  HttpRequest with_body(HttpMethod::get, url);
  with_body.body = "x";
  check_refused(with_body, Errc::invalid_argument, "has no body");
}

TEST_CASE("secrets stay with their server, and out of logs and errors") {
  test::Server far(answering(echo_request));
  test::Server near(answering([&far](const test::Request& request) {
    if (request.target == "/away") return test::response(302, "", "Location: " + far.url("/arrived") + "\r\n");
    if (request.target == "/stay") return test::response(302, "", "Location: /here\r\n");
    if (request.target == "/break") return std::string("nonsense\r\n\r\n");
    return echo_request(request);
  }));
  std::vector<std::string> lines;
  const auto ask = [&](const std::string& path) {
    HttpRequest request(HttpMethod::get, near.url(path));
    request.headers.emplace_back("Authorization", "Bearer s3cret", true);
    request.headers.emplace_back("X-Open", "yes");
    return send_once(request, {}, [&lines](std::string_view line) { lines.emplace_back(line); });
  };
  const auto away = ask("/away");
  REQUIRE(away);
  CHECK(away->body.find("s3cret") == std::string::npos);
  CHECK(away->body.find("x-open=yes") != std::string::npos);
  const auto stayed = ask("/stay");
  REQUIRE(stayed);
  CHECK(stayed->body.find("authorization=Bearer s3cret") != std::string::npos);
  const auto broken = ask("/break");
  REQUIRE_FALSE(broken);
  CHECK(std::string(broken.error().what()).find("s3cret") == std::string::npos);
  CHECK(lines.size() == 5);
  for (const std::string& line : lines) CHECK(line.find("s3cret") == std::string::npos);
}

TEST_CASE("limits of a request replace those of the client") {
  test::Server server(answering([](const test::Request& request) {
    if (request.target == "/late") std::this_thread::sleep_for(400ms);
    return test::response(200, std::string(1000, 'x'));
  }));
  TransportOptions options;
  options.max_response_bytes = 10;
  HttpRequest request(HttpMethod::get, server.url());
  CHECK_FALSE(send_once(request, options));
  request.max_response_bytes = 1000;
  CHECK(send_once(request, options));
  request.max_response_bytes = 999;
  const auto large = send_once(request);
  REQUIRE_FALSE(large);
  CHECK(large.error().code() == Errc::response_too_large);
  CHECK(std::string(large.error().what()).find("999") != std::string::npos);

  HttpRequest late(HttpMethod::get, server.url("/late"));
  late.time_limit = 100ms;
  const auto response = send_once(late);
  REQUIRE_FALSE(response);
  CHECK(response.error().code() == Errc::timeout);
  CHECK(std::string(response.error().what()).find("100 ms") != std::string::npos);
  options = {};
  options.request_timeout = 0s;
  CHECK_FALSE(send_once(HttpRequest(HttpMethod::get, server.url("/late")), options));
  late.time_limit = std::chrono::milliseconds::max();
  CHECK(send_once(late, options));
}

TEST_CASE("with require_https no http URL is used, not even on this machine or by a redirect") {
  test::TemporaryFolder folder;
  const test::Identity root = test::make_identity("Test Root", "", nullptr);
  const test::Identity leaf = test::make_identity("leaf", "DNS:localhost", &root);
  test::Server plain(answering(echo_request));
  test::Server server(answering([&plain](const test::Request&) {
                        return test::response(302, "", "Location: " + plain.url() + "\r\n");
                      }),
                      &leaf);
  TransportOptions options;
  options.extra_root_file = folder.write("root.pem", root.certificate_pem());
  options.allow_insecure_http = true;
  for (const std::string& url : {plain.url(), server.url()}) {
    CAPTURE(url);
    HttpRequest request(HttpMethod::get, url);
    CHECK(send_once(request, options));
    request.require_https = true;
    const auto refused = send_once(request, options);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::bad_response);
  }
  HttpRequest in_capitals(HttpMethod::get, "HTTP" + plain.url().substr(4));
  in_capitals.require_https = true;
  CHECK_FALSE(send_once(in_capitals, options));
}

TEST_CASE("what a closed connection means: not sent, closed unanswered, or unknown") {
  std::atomic<int> arrived = 0;
  test::Server server([&arrived](test::Connection& connection) {
    // Of each connection the first request is answered; the second is read, and the connection closed.
    if (const auto request = connection.read_request(); !request || request->target == "/never") return;
    if (!connection.write(test::response(200, "first"))) return;
    if (connection.read_request()) ++arrived;
  });
  http::Transport transport({}, nullptr);
  http::Multi multi(transport);
  HttpRequest post(HttpMethod::post, server.url());
  REQUIRE(test::perform(multi, post));
  const auto closed = test::perform(multi, post);
  REQUIRE_FALSE(closed);
  CHECK(closed.error().code() == Errc::connection_failed);
  CHECK(http_failure(closed.error()) == HttpFailure::closed_unanswered);
  CHECK(arrived == 1);

  // On a new connection it may be the request that is to blame.
  const auto fresh = test::perform(multi, HttpRequest(HttpMethod::post, server.url("/never")));
  REQUIRE_FALSE(fresh);
  CHECK(http_failure(fresh.error()) == HttpFailure::other);

  // A request that may be sent twice is, and succeeds.
  REQUIRE(test::perform(multi, post));
  post.is_idempotent = true;
  CHECK(test::perform(multi, post));
  CHECK(arrived == 2);

  int port = 0;
  {
    test::Server gone(answering(echo_request));
    port = gone.port();
  }
  const auto refused = send_once(HttpRequest(HttpMethod::post, "http://127.0.0.1:" + std::to_string(port) + "/"));
  REQUIRE_FALSE(refused);
  CHECK(http_failure(refused.error()) == HttpFailure::not_sent);
  const auto unresolved = send_once(HttpRequest(HttpMethod::post, "https://does-not-exist.invalid/"));
  REQUIRE_FALSE(unresolved);
  CHECK(http_failure(unresolved.error()) == HttpFailure::not_sent);
  CHECK(http_failure(Error(Errc::bad_response, "parsing")) == HttpFailure::other);
}

TEST_CASE("a request that was sent is not called unsent because curl cannot connect to send it again") {
  std::atomic<bool> arrived = false;
  auto server = std::make_unique<test::Server>([&arrived](test::Connection& connection) {
    if (!connection.read_request() || !connection.write(test::response(200, "first"))) return;
    arrived = connection.read_request().has_value();
    (void)connection.read_request();  // until the server ends
  });
  http::Transport transport({}, nullptr);
  http::Multi multi(transport);
  const HttpRequest post(HttpMethod::post, server->url());
  REQUIRE(test::perform(multi, post));
  std::thread crash([&] {
    while (!arrived) std::this_thread::sleep_for(1ms);
    server.reset();  // no more connections, and then the end of those that are open
  });
  const auto lost = test::perform(multi, post);
  crash.join();
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code() == Errc::connection_failed);
  CHECK(http_failure(lost.error()) != HttpFailure::not_sent);
}

TEST_CASE("a client certificate is shown, to its server only, and each has connections of its own") {
  test::TemporaryFolder folder;
  const test::Identity root = test::make_identity("Test Root", "", nullptr);
  const test::Identity leaf = test::make_identity("leaf", "DNS:localhost", &root);
  const test::Identity alice = test::make_identity("alice", "DNS:alice.example", &root);
  const test::Identity bob = test::make_identity("bob", "DNS:bob.example", &root);
  const auto ask_for_certificate = [&root](SSL_CTX* context) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.certificate.get());
    X509_STORE_set_purpose(SSL_CTX_get_cert_store(context), X509_PURPOSE_ANY);
    const unsigned char id[] = "test";
    SSL_CTX_set_session_id_context(context, id, sizeof id);
  };
  const test::Server::Serve say_name = [](test::Connection& connection) {
    while (const auto request = connection.read_request()) {
      std::string headers;
      if (request->target.starts_with("/to=")) headers = "Location: " + request->target.substr(4) + "\r\n";
      if (!connection.write(test::response(headers.empty() ? 200 : 302, connection.client_name(), headers))) return;
    }
  };
  test::Server far(say_name, &leaf, ask_for_certificate);
  test::Server server(say_name, &leaf, ask_for_certificate);
  TransportOptions options;
  options.extra_root_file = folder.write("root.pem", root.certificate_pem());
  http::Transport transport(options, nullptr);
  http::Multi multi(transport);
  const auto name_seen = [&](const test::Identity* identity, const std::string& path) {
    HttpRequest request(HttpMethod::get, server.url(path));
    if (identity) request.client_certificate.emplace(identity->certificate_pem(), identity->key_pem());
    const auto response = test::perform(multi, request);
    REQUIRE_MESSAGE(response, response.error().what());
    return response->body;
  };
  for (int round = 0; round < 2; ++round) {
    CHECK(name_seen(&alice, "/") == "alice");
    CHECK(name_seen(nullptr, "/") == "");
    CHECK(name_seen(&bob, "/") == "bob");
  }
  CHECK(server.connections() == 3);
  CHECK(name_seen(&alice, "/to=/here") == "alice");
  CHECK(name_seen(&alice, "/to=" + far.url()) == "");
  CHECK(far.connections() == 1);

  HttpRequest mismatched(HttpMethod::get, server.url());
  mismatched.client_certificate.emplace(alice.certificate_pem(), bob.key_pem());
  const auto refused = send_once(mismatched, options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::tls_failed);
  CHECK(http_failure(refused.error()) == HttpFailure::not_sent);
  HttpRequest plain(HttpMethod::get, "http://127.0.0.1:1/");
  plain.client_certificate.emplace(alice.certificate_pem(), alice.key_pem());
  check_refused(plain, Errc::invalid_argument, "needs an https URL");
}

TEST_CASE("what is trusted for the CA is not trusted for others, on kept connections neither") {
  test::TemporaryFolder folder;
  const test::Identity root = test::make_identity("Test Root", "", nullptr);
  const test::Identity leaf = test::make_identity("leaf", "DNS:localhost", &root);
  test::Server server(answering(echo_request), &leaf);
  TransportOptions options;
  options.extra_root_file = folder.write("root.pem", root.certificate_pem());
  for (const bool only : {false, true}) {
    CAPTURE(only);
    options.only_extra_root = only;
    http::Transport transport(options, nullptr);
    http::Multi multi(transport);
    HttpRequest request(HttpMethod::get, server.url());
    CHECK(test::perform(multi, request));
    request.trust = HttpTrust::system;
    const auto refused = test::perform(multi, request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::tls_failed);
    request.trust = HttpTrust::client;
    CHECK(test::perform(multi, request));
  }
  CHECK(server.connections() == 4);
}

TEST_CASE("the password of a proxy is not shown, and a proxy that wants another is no temporary failure") {
  test::Server proxy(answering([](const test::Request&) {
    return std::string("HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
  }));
  TransportOptions options;
  options.proxy = "http://user:s3cret@127.0.0.1:" + std::to_string(proxy.port());
  const auto response = send_once(HttpRequest(HttpMethod::get, "https://ca.example/"), options);
  REQUIRE_FALSE(response);
  CHECK(response.error().http_status() == 407);
  CHECK_FALSE(is_worth_retrying(response.error()));
  const std::string said = response.error().what();
  CHECK(said.find("(http://127.0.0.1:") != std::string::npos);
  CHECK(said.find("s3cret") == std::string::npos);
  // curl quotes proxies that it cannot use.
  for (const char* unusable : {"odd://user:s3cret@127.0.0.1:1", "http://user:s3 s3cret@127.0.0.1:1"}) {
    options.proxy = unusable;
    const auto failed = send_once(HttpRequest(HttpMethod::get, "https://ca.example/"), options);
    REQUIRE_FALSE(failed);
    CHECK_MESSAGE(std::string(failed.error().what()).find("s3cret") == std::string::npos, failed.error().what());
  }
}
