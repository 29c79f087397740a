// The whole CA: TestCa over real HTTPS, with real http-01 fetches.
#include <doctest/doctest.h>

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json/array.hpp>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "acme_caller.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "culmen/test_ca.hpp"

using namespace culmen;
using namespace culmen::testca;
namespace json = boost::json;

namespace {

/// HTTPS with libcurl, one connection; trusts one root. A dropped connection gives status 0.
class HttpsTransport {
 public:
  HttpsTransport(std::string base_url, std::string root_pem)
      : base_url_(std::move(base_url)), root_(std::move(root_pem)) {}
  ~HttpsTransport() { curl_easy_cleanup(curl_); }
  HttpsTransport(const HttpsTransport&) = delete;
  HttpsTransport& operator=(const HttpsTransport&) = delete;

  Reply operator()(const Request& request) {
    curl_easy_reset(curl_);
    std::string url = base_url_ + request.target;
    Reply reply;
    curl_slist* headers = curl_slist_append(nullptr, "Expect:");
    for (const auto& [name, value] : request.headers)
      headers = curl_slist_append(headers, (name + ": " + value).c_str());
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_blob root{root_.data(), root_.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl_, CURLOPT_CAINFO_BLOB, &root);
    // On a connection that was used before, libcurl repeats a request that got no answer.
    if (!reuse_connection) curl_easy_setopt(curl_, CURLOPT_FRESH_CONNECT, 1L);
    if (request.method == "HEAD") curl_easy_setopt(curl_, CURLOPT_NOBODY, 1L);
    if (request.method == "POST") {
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, request.body.c_str());
    }
    curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(curl_, CURLOPT_HEADERDATA, &reply);
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &reply);
    result = curl_easy_perform(curl_);
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    reply.status = static_cast<int>(status);
    curl_slist_free_all(headers);
    return reply;
  }

  CURLcode result = CURLE_OK;
  bool reuse_connection = true;

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* into) {
    std::string_view line(data, size * count);
    std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos && line.ends_with("\r\n"))
      static_cast<Reply*>(into)->add(std::string(line.substr(0, colon)),
                                     std::string(line.substr(colon + 2, line.size() - colon - 4)));
    return size * count;
  }
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* into) {
    std::string& body = static_cast<Reply*>(into)->body;
    body.append(data, size * count);
    return body.size() > (4u << 20) ? 0 : size * count;
  }

  CURL* curl_ = curl_easy_init();
  std::string base_url_;
  std::string root_;
};

/// A web server for http-01: one thread, one answer a connection. `respond` gets the path and gives the whole answer.
class WebServer {
 public:
  using Respond = std::function<std::string(const std::string&)>;
  explicit WebServer(Respond respond) : respond_(std::move(respond)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listener_, 64) == 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~WebServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;

  /// Answers differently from the next connection on.
  void respond_with(Respond respond) {
    std::lock_guard lock(mutex_);
    respond_ = std::move(respond);
  }

  std::uint16_t port = 0;
  std::atomic<int> requests = 0;

 private:
  void serve() {
    while (true) {
      int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        ssize_t count = ::read(client, buffer, sizeof buffer);
        if (count <= 0) break;
        request.append(buffer, static_cast<std::size_t>(count));
      }
      ++requests;
      std::size_t space = request.find(' ');
      Respond respond;
      {
        std::lock_guard lock(mutex_);
        respond = respond_;
      }
      std::string answer = respond(request.substr(space + 1, request.find(' ', space + 1) - space - 1));
      for (std::size_t sent = 0; sent < answer.size();) {
        ssize_t count = ::send(client, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) break;
        sent += static_cast<std::size_t>(count);
      }
      ::close(client);
    }
  }

  std::mutex mutex_;
  Respond respond_;
  int listener_ = -1;
  std::thread thread_;
};

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// A running CA whose every name is at this machine.
struct Running {
  explicit Running(TestCaOptions options = {}) : ca(with_loopback(std::move(options))) { ca.start(); }
  static TestCaOptions with_loopback(TestCaOptions options) {
    options.resolve.emplace("*", "127.0.0.1");
    return options;
  }
  std::string base_url() const {
    std::string directory = ca.directory_url();
    return directory.substr(0, directory.rfind('/'));
  }
  TestCa ca;
};

struct OverHttps {
  explicit OverHttps(const Running& running)
      : transport(running.base_url(), running.ca.root_pem()),
        caller([this](const Request& request) { return transport(request); }, running.base_url()) {}
  HttpsTransport transport;
  AcmeCaller caller;
};

/// Triggers http-01 of a new order for one name and waits for its end; the authorization.
json::object validated(AcmeCaller& caller, const std::string& name) {
  json::object order = body_of(caller.new_order({name}));
  std::string url(order.at("authorizations").at(0).as_string());
  caller.answer_challenges(order);
  for (int i = 0; i < 1500; ++i) {
    json::object authz = body_of(caller.post(url));
    if (text_at(authz, "status") != "pending") return authz;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  FAIL("the validation does not end");
  return {};
}

std::string error_type(const json::object& authz) {
  std::string type = text_at(authz.at("challenges").at(0).at("error").as_object(), "type");
  return type.substr(type.rfind(':') + 1);
}

/// What the web server answers for one CA's account: the key authorization of whatever token is asked for.
std::string key_authorization_for(const std::string& path, const std::string& thumbprint) {
  return path.substr(path.rfind('/') + 1) + "." + thumbprint;
}

}  // namespace

TEST_CASE("a certificate over HTTPS, with a real http-01 fetch") {
  WebServer web([](const std::string&) { return ok("not yet"); });
  TestCaOptions options;
  options.http_port = web.port;
  options.root_file =
      std::filesystem::temp_directory_path() / ("culmen-test-root-" + std::to_string(::getpid()) + ".pem");
  Running running(options);
  CHECK(read_file(options.root_file) == running.ca.root_pem());
  std::filesystem::remove(options.root_file);

  OverHttps over(running);
  AcmeCaller& caller = over.caller;
  web.respond_with([thumbprint = caller.key.thumbprint()](const std::string& path) {
    return ok(key_authorization_for(path, thumbprint) + "\r\n");
  });
  REQUIRE(caller.register_account().status == 201);
  PrivateKey key = PrivateKey::generate();
  Reply created = caller.new_order({"www.example", "127.0.0.1"});
  json::object order = body_of(created);
  caller.answer_challenges(order);
  for (int i = 0; i < 500 && text_at(order, "status") == "pending"; ++i) {
    order = body_of(caller.post(std::string(created.header("location"))));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  REQUIRE(text_at(order, "status") == "ready");
  json::object done = body_of(caller.finalize(order, {"www.example", "127.0.0.1"}, key));
  std::string chain = caller.post(text_at(done, "certificate")).body;
  CHECK(Certificate::from_pem(chain).matches(key));
  CHECK(web.requests == 2);
  CHECK(running.ca.request_counts()["connections"] == 1);
  CHECK(running.ca.issued().size() == 1);
  CHECK_FALSE(running.ca.is_revoked(chain));
}

TEST_CASE("what http-01 finds wrong") {
  WebServer web([](const std::string&) { return ok("not yet"); });
  TestCaOptions options;
  options.http_port = web.port;
  options.validation_timeout = std::chrono::seconds(1);
  options.resolve["nowhere.example"] = "host.invalid";
  Running running(options);
  OverHttps over(running);
  AcmeCaller& caller = over.caller;
  caller.register_account();
  const std::string thumbprint = caller.key.thumbprint();
  const std::string hop = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ";
  auto outcome = [&](WebServer::Respond answer, const std::string& name = "a.example") {
    web.respond_with(std::move(answer));
    web.requests = 0;
    json::object authz = validated(caller, name);
    return text_at(authz, "status") == "valid" ? "valid" : error_type(authz);
  };
  auto good = [&](const std::string& path) { return ok(key_authorization_for(path, thumbprint)); };

  CHECK(outcome(good) == "valid");
  CHECK(outcome([](const std::string&) { return ok("something else"); }) == "incorrectResponse");
  CHECK(outcome([&](const std::string& path) { return ok(" " + key_authorization_for(path, thumbprint)); }) ==
        "incorrectResponse");
  CHECK(outcome([](const std::string&) { return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"; }) ==
        "incorrectResponse");
  CHECK(outcome([](const std::string&) { return ok(std::string(100'000, 'x')); }) == "incorrectResponse");
  CHECK(outcome([](const std::string&) { return "garbage\r\n\r\n"; }) == "connection");
  CHECK(outcome([](const std::string&) { return std::string(); }) == "connection");
  CHECK(outcome([](const std::string&) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1500));
          return std::string();
        }) == "connection");

  // Redirects: to the right place, in circles, without end, elsewhere.
  CHECK(outcome([&](const std::string& path) {
          return path.starts_with("/.well-known/")
                     ? hop + "http://b.example/moved?x=1&t=/" + path.substr(path.rfind('/') + 1) + "\r\n\r\n"
                     : good(path);
        }) == "valid");
  CHECK(web.requests == 2);
  CHECK(outcome([&](const std::string& path) { return hop + path + "\r\n\r\n"; }) == "connection");
  CHECK(outcome([&](const std::string& path) { return hop + path + "x\r\n\r\n"; }) == "connection");
  CHECK(web.requests == 11);
  CHECK(outcome([&](const std::string&) { return hop + "http://a.example:9/\r\n\r\n"; }) == "connection");
  CHECK(outcome([&](const std::string&) { return hop + "ftp://a.example/\r\n\r\n"; }) == "connection");
  CHECK(outcome([](const std::string&) { return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"; }) == "connection");
  CHECK(outcome(good, "nowhere.example") == "dns");
}

TEST_CASE("loopback is only visited when allowed, a closed port is a connection problem") {
  TestCaOptions options;
  options.http_port = 1;
  {
    Running running(options);
    OverHttps over(running);
    over.caller.register_account();
    CHECK(error_type(validated(over.caller, "a.example")) == "connection");
  }
  options.allow_loopback = false;
  WebServer web([](const std::string&) { return ok("x"); });
  options.http_port = web.port;
  Running running(options);
  OverHttps over(running);
  over.caller.register_account();
  CHECK(error_type(validated(over.caller, "a.example")) == "connection");
  CHECK(web.requests == 0);
}

TEST_CASE("a slow response is held back, and others are not") {
  Running running(TestCaOptions{});
  OverHttps slow(running), other(running);
  other.caller.nonce();
  TestCaFault fault("directory", TestCaFault::Kind::slow);
  fault.delay = std::chrono::milliseconds(400);
  running.ca.plan(fault);
  const auto start = std::chrono::steady_clock::now();
  std::thread held([&] { CHECK(slow.caller.get(running.ca.directory_url()).status == 200); });
  while (running.ca.request_counts()["directory"] == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(other.caller.get(running.ca.directory_url()).status == 200);
  const auto other_took = std::chrono::steady_clock::now() - start;
  held.join();
  const auto slow_took = std::chrono::steady_clock::now() - start;
  CHECK(slow_took >= fault.delay);
  CHECK(other_took < slow_took);
}

TEST_CASE("a slow validation does not hold others up") {
  std::atomic<bool> release = false;
  WebServer web([&](const std::string&) {
    while (!release) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return std::string();
  });
  TestCaOptions options;
  options.http_port = web.port;
  Running running(options);
  OverHttps over(running);
  over.caller.register_account();
  json::object slow = body_of(over.caller.new_order({"slow.example"}));
  over.caller.answer_challenges(slow);
  running.ca.force_validation("quick.example", true);
  CHECK(text_at(validated(over.caller, "quick.example"), "status") == "valid");
  const std::string held(slow.at("authorizations").at(0).as_string());
  CHECK(text_at(body_of(over.caller.post(held)), "status") == "pending");
  release = true;
}

TEST_CASE("eight clients at once") {
  TestCaOptions options;
  options.skip_validation = true;
  options.faults.processing_polls = 0;
  Running running(options);
  constexpr int clients = 8, rounds = 5;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, i] {
      HttpsTransport transport(running.base_url(), running.ca.root_pem());
      AcmeCaller caller([&](const Request& request) { return transport(request); }, running.base_url());
      caller.register_account();
      for (int round = 0; round < rounds; ++round) {
        PrivateKey key = PrivateKey::generate();
        std::string chain = caller.issue({"c" + std::to_string(i) + ".example"}, key);
        if (Certificate::from_pem(chain).matches(key)) ++good;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(good == clients * rounds);
  CHECK(running.ca.issued().size() == clients * rounds);
  CHECK(running.ca.request_counts()["connections"] == clients);
}

TEST_CASE("faults on the wire: dropped connections, endless bodies") {
  Running running;
  OverHttps over(running);
  REQUIRE(over.caller.register_account().status == 201);
  over.transport.reuse_connection = false;
  running.ca.plan(TestCaFault("directory", TestCaFault::Kind::drop_before));
  CHECK(over.caller.get(running.ca.directory_url()).status == 0);
  CHECK(over.caller.get(running.ca.directory_url()).status == 200);
  running.ca.plan(TestCaFault("new-order", TestCaFault::Kind::drop_after));
  CHECK(over.caller.new_order({"a.example"}).status == 0);
  // Which one libcurl reports for a TLS connection that ends without close_notify depends on its version.
  const CURLcode dropped = over.transport.result;
  CHECK((dropped == CURLE_GOT_NOTHING || dropped == CURLE_RECV_ERROR));
  std::string list = over.caller.account_url + "/orders";
  CHECK(body_of(over.caller.post(list)).at("orders").as_array().size() == 1);
  running.ca.plan(TestCaFault("directory", TestCaFault::Kind::oversized));
  CHECK(over.caller.get(running.ca.directory_url()).body.size() > (4u << 20));
  CHECK(over.transport.result == CURLE_WRITE_ERROR);
}

TEST_CASE("HEAD and GET over the wire, and a connection that stays open") {
  Running running;
  OverHttps over(running);
  std::string url = running.base_url() + "/acme/new-nonce";
  CHECK(over.caller.get(url, "HEAD").status == 200);
  CHECK(over.caller.get(url).status == 204);
  CHECK(over.caller.get(running.ca.directory_url(), "HEAD").body.empty());
  CHECK(over.caller.get(running.ca.directory_url()).status == 200);
  CHECK(over.caller.get(running.base_url() + "/nothing").status == 404);
  CHECK(running.ca.request_counts()["connections"] == 1);
}

TEST_CASE("only the CA's own root vouches for it, under each of its names") {
  Running running;
  TestCa other;
  std::string port = running.base_url().substr(running.base_url().rfind(':'));
  HttpsTransport mistrusting(running.base_url(), other.root_pem());
  Request request;
  request.target = "/directory";
  request.headers = {{"user-agent", "by-hand/1"}};
  mistrusting(request);
  CHECK(mistrusting.result == CURLE_PEER_FAILED_VERIFICATION);
  HttpsTransport by_name("https://localhost" + port, running.ca.root_pem());
  CHECK(by_name(request).status == 200);
}

TEST_CASE("stop and start again: the same port, and nothing is forgotten") {
  TestCaOptions options;
  options.skip_validation = true;
  Running running(options);
  OverHttps over(running);
  over.caller.register_account();
  std::string directory = running.ca.directory_url();
  running.ca.stop();
  CHECK(over.caller.get(directory).status == 0);
  running.ca.start();
  CHECK(running.ca.directory_url() == directory);
  CHECK(over.caller.post(over.caller.account_url).status == 200);
}

TEST_CASE("a port that is taken, an address that is none, options out of range") {
  Running running;
  TestCaOptions options;
  options.port = static_cast<std::uint16_t>(std::stoi(running.base_url().substr(running.base_url().rfind(':') + 1)));
  TestCa second(options);
  try {
    second.start();
    FAIL("two CAs on one port");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::io_failed);
    CHECK(std::string(error.what()).find("choose another port") != std::string::npos);
  }
  options.address = "localhost";
  TestCa unnumbered(options);
  CHECK_THROWS_AS(unnumbered.start(), Error);
  options.chain_length = 6;
  CHECK_THROWS_AS(TestCa{options}, Error);
}
