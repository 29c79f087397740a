// What both responders share: a fair share of the connections, descriptors, and exceptions.
#include "listen/responder.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "culmen/error.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/tls_alpn01_solver.hpp"

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {

/// Which allocation fails, counted on all threads but the test's; 0: none. The responder's thread is the only other.
std::atomic<long> allocations_until_failure = 0;
thread_local bool is_the_tests_thread = false;

bool fails_now() { return !is_the_tests_thread && allocations_until_failure > 0 && --allocations_until_failure == 0; }

}  // namespace

void* operator new(std::size_t size) {
  void* memory = fails_now() ? nullptr : std::malloc(size ? size : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  void* memory = fails_now() ? nullptr : std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace culmen {
namespace {

/// A connection from any of the loopback addresses.
class Peer {
 public:
  Peer(const std::string& from, int port, int patience_seconds = 20)
      : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{patience_seconds, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const sockaddr_in source = address(from, 0), target = address("127.0.0.1", port);
    REQUIRE(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0);
    REQUIRE(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0);
  }
  Peer(Peer&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Peer& operator=(Peer&&) = delete;
  ~Peer() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  int release() { return std::exchange(descriptor_, -1); }
  /// Waits for the end; false if there is none within the patience.
  bool is_closed() {
    char octet = 0;
    const ssize_t got = ::recv(descriptor_, &octet, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }
  /// The response to a request for the token "t"; empty when the connection was closed.
  std::string ask() {
    const std::string request = "GET /.well-known/acme-challenge/t HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    ::send(descriptor_, request.data(), request.size(), MSG_NOSIGNAL);
    std::string all;
    char piece[512];
    for (ssize_t got = 0; (got = ::recv(descriptor_, piece, sizeof piece, 0)) > 0;)
      all.append(piece, static_cast<std::size_t>(got));
    return all;
  }

 private:
  static sockaddr_in address(const std::string& text, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, text.c_str(), &address.sin_addr);
    return address;
  }
  int descriptor_;
};

const std::string name = "a-name-that-is-longer-than-a-small-string.example.com";

/// What goes wrong with the tls-alpn-01 handshake for `name` on that connection; empty: nothing.
std::string handshake_failure(Peer peer) {
  asio::io_context context;
  asio::ssl::context tls(asio::ssl::context::tls_client);
  asio::ssl::stream<tcp::socket> stream(context, tls);
  stream.next_layer().assign(tcp::v4(), peer.release());
  SSL_set_tlsext_host_name(stream.native_handle(), name.c_str());
  const unsigned char protocol[] =
      "\x0a"
      "acme-tls/1";
  SSL_set_alpn_protos(stream.native_handle(), protocol, sizeof protocol - 1);
  boost::system::error_code failed;
  stream.handshake(asio::ssl::stream_base::client, failed);
  return failed ? failed.message() : "";
}

/// More idle connections from one address than a responder keeps; most of them were evicted when it returns.
std::vector<Peer> flood(const std::string& from, int port) {
  std::vector<Peer> peers;
  for (int i = 0; i < 500; ++i) peers.emplace_back(from, port);
  CHECK(peers[200].is_closed());
  return peers;
}

const std::string near_host = "127.0.0.1", distant_host = "127.0.0.2";

std::map<int, bool> descriptors_and_whether_they_close_on_exec() {
  std::map<int, bool> found;
  for (int number = 0; number < 1024; ++number) {
    const int flags = ::fcntl(number, F_GETFD);
    if (flags >= 0) found[number] = (flags & FD_CLOEXEC) != 0;
  }
  return found;
}

/// Ends at once.
class NoConnection final : public listen::Connection {
 public:
  explicit NoConnection(bool throws) : throws_(throws) {}
  void run() override {
    if (throws_) throw std::runtime_error("in run()");
  }
  void close() override {}

 private:
  void drop() noexcept override {}
  bool throws_;
};

listen::ResponderErrorText some_text() {
  listen::ResponderErrorText text;
  text.challenge = "http-01";
  return text;
}

/// Throws for the first connections: 1 while it is made, 2 when it runs, then a function that is no std::exception.
std::shared_ptr<listen::Connection> make_badly(std::atomic<int>& made) {
  switch (++made) {
    case 1: throw std::runtime_error("in make");
    case 2: return std::make_shared<NoConnection>(true);
    case 3: throw 3;
    default: return std::make_shared<NoConnection>(false);
  }
}

/// One exchange after another, each with the next allocation of the responder's thread failing, until there was none
/// left to fail. In between, `works` must hold, at the latest after a new start.
template <class Solver, class Try>
void fail_each_allocation(Solver& solver, Try works) {
  is_the_tests_thread = true;
  long failed = 0;
  for (long nth = 1;; ++nth) {
    CAPTURE(nth);
    REQUIRE(nth < 2000);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the exchange before comes to its end
    allocations_until_failure = nth;
    static_cast<void>(works(1));
    const bool was_reached = allocations_until_failure.exchange(0) == 0;
    if (solver.port() == 0) REQUIRE_NOTHROW(solver.start_thread());
    REQUIRE(works(20));
    if (!was_reached) break;
    ++failed;
  }
  CHECK(failed > 5);
  is_the_tests_thread = false;
}

}  // namespace

TEST_CASE("a responder's sources: an address, or the /64 network of an IPv6 address") {
  const auto source = [](const char* text) { return listen::source_of(asio::ip::make_address(text)).to_string(); };
  CHECK(source("192.0.2.7") == "192.0.2.7");
  CHECK(source("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::");
  CHECK(source("2001:db8:1:2:ffff::1") == "2001:db8:1:2::");
  CHECK(source("2001:db8:1:3::1") == "2001:db8:1:3::");
}

TEST_CASE("http-01: a flood from one address evicts itself and not a distant CA") {
  Http01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("t", "t.k");
  Peer distant(distant_host, solver.port());  // its request takes a while to arrive
  const std::vector<Peer> flooding = flood(near_host, solver.port());
  CHECK(distant.ask().ends_with("t.k"));
}

TEST_CASE("tls-alpn-01: a flood from one address evicts itself and not a distant CA") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add(name, "dns", "t.k");
  Peer distant(distant_host, solver.port());
  const std::vector<Peer> flooding = flood(near_host, solver.port());
  CHECK(handshake_failure(std::move(distant)) == "");
}

TEST_CASE("a responder that is full evicts the oldest connection of the address that has the most") {
  Http01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("t", "t.k");
  std::vector<Peer> singles;
  for (int i = 1; i <= 254; ++i) singles.emplace_back("127.0.1." + std::to_string(i), solver.port());
  Peer first("127.0.0.3", solver.port()), second("127.0.0.3", solver.port());  // 256: full
  singles.emplace_back("127.0.2.1", solver.port());
  CHECK(first.is_closed());
  singles.emplace_back("127.0.2.2", solver.port());  // now each address has one
  CHECK(singles.front().is_closed());
  CHECK(second.ask().ends_with("t.k"));
  CHECK(singles[1].ask().ends_with("t.k"));
  CHECK(singles.back().ask().ends_with("t.k"));
}

TEST_CASE("no descriptor of a responder is inherited by a program that the process starts") {
  Http01Solver http(0);
  TlsAlpn01Solver tls(0);
  const std::map<int, bool> before = descriptors_and_whether_they_close_on_exec();
  http.start_thread();
  tls.start_thread();
  Peer idle(near_host, http.port()), other(near_host, tls.port());
  CHECK(Peer(near_host, http.port()).ask().starts_with("HTTP/1.1 404 "));  // accepted after those
  CHECK(handshake_failure(Peer(near_host, tls.port())).find("unrecognized name") != std::string::npos);
  int seen = 0;
  for (const auto& [number, closes] : descriptors_and_whether_they_close_on_exec()) {
    if (before.contains(number)) continue;
    const std::string what = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(number)).string();
    CAPTURE(what);
    CHECK(closes);
    ++seen;
  }
  CHECK(seen >= 8);  // listening for both families, accepted, and the two of this test; pipes and timers
}

TEST_CASE("exceptions of a responder's handlers end neither its thread nor the user's event loop") {
  std::atomic<int> made = 0;
  listen::Responder own(some_text(), [&made](listen::Socket) { return make_badly(made); });
  own.start_thread(0, "127.0.0.1");
  for (int i = 0; i < 5; ++i) CHECK(Peer(near_host, own.port()).is_closed());
  CHECK(made == 5);

  made = 0;
  asio::io_context context;
  auto work = asio::make_work_guard(context);
  listen::Responder users(some_text(), [&made](listen::Socket) { return make_badly(made); });
  users.start(context.get_executor(), 0, "127.0.0.1");
  auto loop = std::async(std::launch::async, [&context] { context.run(); });
  for (int i = 0; i < 5; ++i) CHECK(Peer(near_host, users.port()).is_closed());
  CHECK(made == 5);
  users.stop();
  work.reset();
  CHECK_NOTHROW(loop.get());
}

TEST_CASE(
    "http-01: whichever allocation of the responder fails, the program goes on, and the next request is answered") {
  Http01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("t", "t.k");
  fail_each_allocation(solver,
                       [&](int patience) { return Peer(near_host, solver.port(), patience).ask().ends_with("t.k"); });
}

TEST_CASE(
    "tls-alpn-01: whichever allocation of the responder fails, the program goes on, and the next handshake works") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add(name, "dns", "t.k");
  bool callback_failed = false;
  // What the connection before still allocates varies, so one sweep may miss the callback.
  for (int sweep = 0; sweep < 5 && !callback_failed; ++sweep) {
    fail_each_allocation(solver, [&](int patience) {
      const std::string failure = handshake_failure(Peer(near_host, solver.port(), patience));
      callback_failed = callback_failed || failure.find("internal error") != std::string::npos;
      return failure.empty();
    });
  }
  CHECK(callback_failed);  // in OpenSSL's callback, whose frames no exception may cross
}

}  // namespace culmen
