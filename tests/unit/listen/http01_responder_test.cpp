// The http-01 responder, over real connections.
#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <future>
#include <thread>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "culmen/asio/http01_solver.hpp"
#include "culmen/driver.hpp"
#include "support/tiny_server.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

/// A client with a socket of its own, and nothing between it and the bytes.
class Client {
 public:
  explicit Client(int port) : descriptor_(test::connect_to(port)) {
    const timeval limit{20, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Client() { ::close(descriptor_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(std::string_view text) {
    return ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// All that comes until the server closes.
  std::string read_all() {
    std::string all;
    char piece[4096];
    for (;;) {
      const ssize_t got = ::recv(descriptor_, piece, sizeof piece, 0);
      if (got < 0 && errno == EAGAIN) return all + " [still open]";
      if (got <= 0) return all;
      all.append(piece, static_cast<std::size_t>(got));
    }
  }

 private:
  int descriptor_;
};

/// From here on, bind() fails on this thread as it does for a port that only root may take.
void refuse_bind_on_this_thread() {
  std::array<sock_filter, 4> program{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bind, 0, 1),
                                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
                                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog filter{program.size(), program.data()};
  REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

std::string raw_exchange(int port, const std::string& text) {
  Client client(port);
  client.send(text);
  return client.read_all();
}

std::string request(const std::string& method, const std::string& target) {
  return method + " " + target + " HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
}

const std::string path = "/.well-known/acme-challenge/";

std::string body_of(const std::string& response) {
  const std::size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? "no response" : response.substr(end + 4);
}

bool has_ipv6_loopback() {
  const int descriptor = ::socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool bound = ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(descriptor);
  return bound;
}

}  // namespace

TEST_CASE("a presented token is answered to the byte, and nothing else is") {
  Http01Solver solver(0);
  CHECK(solver.port() == 0);
  solver.start_thread();
  const int port = solver.port();
  REQUIRE(port != 0);
  solver.add("tok-en_1", "tok-en_1.thumbprint");

  const std::string good = raw_exchange(port, request("GET", path + "tok-en_1"));
  CHECK(good.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(good.find("Content-Type: application/octet-stream\r\n") != std::string::npos);
  CHECK(good.find("Content-Length: 19\r\n") != std::string::npos);
  CHECK(body_of(good) == "tok-en_1.thumbprint");
  CHECK(body_of(raw_exchange(port, request("GET", "http://example.com" + path + "tok-en_1"))) == "tok-en_1.thumbprint");
  CHECK(body_of(raw_exchange(port, request("GET", path + "tok-en_1?x=1"))) == "tok-en_1.thumbprint");

  const std::string head = raw_exchange(port, request("HEAD", path + "tok-en_1"));
  CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(head.find("Content-Length: 19\r\n") != std::string::npos);
  CHECK(body_of(head).empty());

  for (const std::string& target :
       {path, path + "other", path + "tok-en_1/", path + "../acme-challenge/tok-en_1", path + "%74ok-en_1",
        path + "../../../etc/passwd", std::string("/"), std::string("/tok-en_1"), "/x" + path + "tok-en_1",
        std::string("*"), std::string("http://example.com")}) {
    CAPTURE(target);
    CHECK(raw_exchange(port, request("GET", target)).starts_with("HTTP/1.1 404 "));
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    CAPTURE(method);
    const std::string refused = raw_exchange(port, request(method, path + "tok-en_1"));
    CHECK(refused.starts_with("HTTP/1.1 405 "));
    CHECK(refused.find("Allow: GET, HEAD\r\n") != std::string::npos);
  }

  solver.remove("tok-en_1");
  CHECK(raw_exchange(port, request("GET", path + "tok-en_1")).starts_with("HTTP/1.1 404 "));
}

TEST_CASE("what is no token is not taken") {
  Http01Solver solver(0);
  for (const char* bad : {"", "../x", "a b", "a/b", "tok\r\n", "t\xc3\xb6k"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(solver.add(bad, "x"), Error);
  }
}

TEST_CASE("several requests on one connection, sent all at once") {
  Http01Solver solver(0);
  solver.start_thread();
  solver.add("a", "a.x");
  solver.add("b", "b.y");
  Client client(solver.port());
  const std::string open = " HTTP/1.1\r\nHost: h\r\n\r\n";
  client.send("GET " + path + "a" + open + "HEAD " + path + "b" + open + "GET " + path + "none" + open +
              request("GET", path + "b"));
  const std::string all = client.read_all();
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = all.find("HTTP/1.1 ", at)) != std::string::npos; ++at) ++answers;
  CHECK(answers == 4);
  CHECK(all.find("a.x") < all.find("HTTP/1.1 404"));
  CHECK(all.ends_with("\r\n\r\nb.y"));
}

TEST_CASE("an HTTP/1.0 client gets its answer and the end") {
  Http01Solver solver(0);
  solver.start_thread();
  solver.add("t", "t.k");
  CHECK(body_of(raw_exchange(solver.port(), "GET " + path + "t HTTP/1.0\r\n\r\n")) == "t.k");
}

TEST_CASE("hostile clients are turned away") {
  Http01Solver solver(0);
  solver.start_thread();
  solver.add("t", "t.k");
  const int port = solver.port();
  CHECK(raw_exchange(port, "\x16\x03\x01 not HTTP at all\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(raw_exchange(port, "GET / HTTP/1.1\r\nX: " + std::string(9000, 'x')).starts_with("HTTP/1.1 400 "));
  CHECK(raw_exchange(port, "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello").starts_with("HTTP/1.1 400 "));
  CHECK(body_of(raw_exchange(port, request("GET", path + "t"))) == "t.k");
}

TEST_CASE("idle connections do not keep others from their answers, and are ended") {
  Http01Solver solver(0);
  solver.start_thread();
  solver.add("t", "t.k");
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 400; ++i) {  // more than the responder keeps
    idle.push_back(std::make_unique<Client>(solver.port()));
    if (i % 2 == 0) idle.back()->send("GET / HT");
  }
  const auto before = std::chrono::steady_clock::now();
  CHECK(body_of(raw_exchange(solver.port(), request("GET", path + "t"))) == "t.k");
  CHECK(std::chrono::steady_clock::now() - before < 5s);
  CHECK(idle.front()->read_all().find("still open") == std::string::npos);  // made room
  CHECK(idle.back()->read_all().find("still open") == std::string::npos);   // after ten seconds
}

TEST_CASE("a port that is not permitted: the error names the capability and other ways") {
  // Which ports are permitted, and to whom, depends on the machine: the kernel is told to refuse them all to this
  // thread.
  std::thread([] {
    refuse_bind_on_this_thread();
    Http01Solver solver(0, "127.0.0.1");
    try {
      solver.start_thread();
      FAIL("bound without permission");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::io_failed);
      CHECK(error.system_code() == std::errc::permission_denied);
      const std::string text = error.what();
      CHECK(text.find("CAP_NET_BIND_SERVICE") != std::string::npos);
      CHECK(text.find("redirect port 80") != std::string::npos);
    }
    CHECK(solver.port() == 0);
  }).join();
}

TEST_CASE("a port in use: the error says so and what to do") {
  Http01Solver first(0, "127.0.0.1");
  first.start_thread();
  Http01Solver second(first.port(), "127.0.0.1");
  try {
    second.start_thread();
    FAIL("bound twice");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::io_failed);
    CHECK(error.system_code() == std::errc::address_in_use);
    const std::string text = error.what();
    CHECK(text.find("port " + std::to_string(first.port())) != std::string::npos);
    CHECK(text.find("ss -ltnp") != std::string::npos);
    CHECK(text.find("--webroot") != std::string::npos);
  }
  CHECK(second.port() == 0);
  Http01Solver everywhere(first.port());
  CHECK_THROWS_WITH_AS(everywhere.start_thread(), doctest::Contains("another program has port"), Error);
  first.stop();
  CHECK_NOTHROW(second.start_thread());
  CHECK_THROWS_WITH_AS(second.start_thread(), doctest::Contains("started already"), Error);
}

TEST_CASE("addresses: one of them, not an address, not ours") {
  Http01Solver one(0, "127.0.0.1");
  one.start_thread();
  CHECK(raw_exchange(one.port(), request("GET", "/")).starts_with("HTTP/1.1 404 "));
  Http01Solver none(0, "example.com");
  CHECK_THROWS_WITH_AS(none.start_thread(), doctest::Contains("not an IP address"), Error);
  Http01Solver foreign(0, "192.0.2.1");
  CHECK_THROWS_WITH_AS(foreign.start_thread(), doctest::Contains("does not have the address 192.0.2.1"), Error);
}

TEST_CASE("IPv6 and IPv4 have the same port") {
  Http01Solver solver(0);
  solver.start_thread();
  solver.add("t", "t.k");
  CHECK(body_of(raw_exchange(solver.port(), request("GET", path + "t"))) == "t.k");
  if (!has_ipv6_loopback()) return;
  const int descriptor = ::socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  address.sin6_port = htons(solver.port());
  CHECK(::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::close(descriptor);
}

TEST_CASE("stop() frees the port, twice does no harm, and start goes again") {
  Http01Solver solver(0, "127.0.0.1");
  solver.add("t", "t.k");
  for (int round = 0; round < 3; ++round) {
    solver.start_thread();
    const int port = solver.port();
    Client connected(port);
    connected.send("GET / HT");
    CHECK(body_of(raw_exchange(port, request("GET", path + "t"))) == "t.k");
    solver.stop();
    solver.stop();
    CHECK(solver.port() == 0);
    CHECK(connected.read_all().empty());
    Http01Solver next(static_cast<std::uint16_t>(port), "127.0.0.1");
    CHECK_NOTHROW(next.start_thread());
  }
}

TEST_CASE("on the executor of a coroutine, stopped from another thread under load") {
  asio::io_context context;
  Http01Solver solver(0, "127.0.0.1");
  asio::co_spawn(context, solver.start(), asio::use_future);
  context.run_for(100ms);
  REQUIRE(solver.port() != 0);
  const int port = solver.port();
  auto present = asio::co_spawn(context, solver.present("t", "t.k"), asio::use_future);
  std::vector<std::thread> io;
  for (int i = 0; i < 3; ++i) io.emplace_back([&context] { context.run(); });
  present.get();

  std::atomic<bool> stopped = false;
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!stopped) {
        try {
          if (raw_exchange(port, request("GET", path + "t")).ends_with("t.k")) ++answered;
        } catch (const std::runtime_error&) {
          return;  // refused: stopped
        }
      }
    });
  }
  while (answered < 20) std::this_thread::sleep_for(5ms);
  solver.stop();
  stopped = true;
  for (std::thread& thread : clients) thread.join();
  for (std::thread& thread : io) thread.join();  // nothing left to do: run() returns
  CHECK_THROWS(Client{port});
}

TEST_CASE("the solver may outlive its io_context") {
  Http01Solver solver(0, "127.0.0.1");
  {
    asio::io_context context;
    asio::co_spawn(context, solver.start(), asio::detached);
    context.run_for(50ms);
    REQUIRE(solver.port() != 0);
  }
  CHECK(solver.port() == 0);
  solver.stop();
}

TEST_CASE("as a solver: not for wildcards, and not before it listens") {
  Http01Solver solver(0);
  CHECK(solver.type() == "http-01");
  CHECK(solver.can_solve(Identifier::dns("example.com"), false));
  CHECK_FALSE(solver.can_solve(Identifier::dns("example.com"), true));

  ChallengeContext context;
  context.token = "t";
  context.key_authorization = "t.k";
  const auto run = [](Flow<Result<void>> flow) {
    Execution<Result<void>> execution(std::move(flow), [] { return Instant(); });
    CHECK(execution.next() == nullptr);
    REQUIRE(execution.done());
    return execution.result();
  };
  const auto early = run(solver.present(context));
  REQUIRE_FALSE(early);
  CHECK(early.error().code() == Errc::solver_failed);
  solver.start_thread();
  CHECK(run(solver.present(context)));
  CHECK(body_of(raw_exchange(solver.port(), request("GET", path + "t"))) == "t.k");
  CHECK(run(solver.cleanup(context)));
  CHECK(raw_exchange(solver.port(), request("GET", path + "t")).starts_with("HTTP/1.1 404 "));
}
