// The tls-alpn-01 responder, by real handshakes: Asio's client and the openssl program.
#include "culmen/asio/tls_alpn01_solver.hpp"

#include <doctest/doctest.h>

#include <openssl/ssl.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_future.hpp>

#include "base/hex.hpp"
#include "base/name.hpp"
#include "crypto/alpn_certificate.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "support/run_program.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {

/// One try of a CA to see the certificate.
struct Look {
  Look(int port_, std::string server_name_) : port(port_), server_name(std::move(server_name_)) {}
  int port;
  std::string server_name;
  std::vector<std::string> protocols = {"acme-tls/1"};
  int version = TLS1_3_VERSION;
  bool v6 = false;
};

struct Seen {
  std::string failure;  ///< Empty: the handshake was completed.
  std::string protocol;
  Bytes certificate;
};

Seen look(const Look& what) {
  asio::io_context context;
  asio::ssl::context tls(asio::ssl::context::tls_client);
  tls.set_verify_mode(asio::ssl::verify_none);
  SSL_CTX_set_min_proto_version(tls.native_handle(), what.version);
  SSL_CTX_set_max_proto_version(tls.native_handle(), what.version);
  asio::ssl::stream<tcp::socket> stream(context, tls);
  const asio::ip::address address = what.v6 ? asio::ip::address(asio::ip::address_v6::loopback())
                                            : asio::ip::address(asio::ip::address_v4::loopback());
  stream.lowest_layer().connect(tcp::endpoint(address, static_cast<std::uint16_t>(what.port)));
  const timeval limit{20, 0};
  ::setsockopt(stream.lowest_layer().native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (!what.server_name.empty()) SSL_set_tlsext_host_name(stream.native_handle(), what.server_name.c_str());
  std::string wire;
  for (const std::string& protocol : what.protocols) wire += static_cast<char>(protocol.size()) + protocol;
  if (!wire.empty()) {
    SSL_set_alpn_protos(stream.native_handle(), reinterpret_cast<const unsigned char*>(wire.data()),
                        static_cast<unsigned>(wire.size()));
  }
  Seen seen;
  boost::system::error_code failed;
  stream.handshake(asio::ssl::stream_base::client, failed);
  if (failed) {
    seen.failure = failed.message();
    return seen;
  }
  const unsigned char* protocol = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(stream.native_handle(), &protocol, &length);
  seen.protocol.assign(reinterpret_cast<const char*>(protocol), length);
  X509* certificate = SSL_get1_peer_certificate(stream.native_handle());
  REQUIRE(certificate);
  unsigned char* der = nullptr;
  const int der_length = i2d_X509(certificate, &der);
  seen.certificate.assign(der, der + der_length);
  OPENSSL_free(der);
  X509_free(certificate);
  stream.shutdown(failed);
  return seen;
}

std::vector<Identifier> names_in(const Seen& seen) {
  REQUIRE_MESSAGE(seen.failure.empty(), seen.failure);
  return Certificate::from_der(seen.certificate).identifiers;
}

Bytes digest_in(const Seen& seen) {
  for (const crypto::OidValue& extension : crypto::certificate_extensions(seen.certificate))
    if (extension.oid == "1.3.6.1.5.5.7.1.31") return extension.value;
  return {};
}

bool has_ipv6() {
  asio::io_context context;
  tcp::acceptor acceptor(context);
  boost::system::error_code failed;
  acceptor.open(tcp::v6(), failed);
  if (!failed) acceptor.bind(tcp::endpoint(asio::ip::address_v6::loopback(), 0), failed);
  return !failed;
}

constexpr int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

}  // namespace

TEST_CASE("a presented name gets its certificate, in TLS 1.2 and 1.3") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  CHECK(solver.port() == 0);
  solver.start_thread();
  solver.add("Example.COM", "dns", "token.thumbprint");
  for (const int version : versions) {
    CAPTURE(version);
    for (const char* spelling : {"example.com", "EXAMPLE.com", "example.com."}) {
      CAPTURE(spelling);
      Look what(solver.port(), spelling);
      what.version = version;
      const Seen seen = look(what);
      CHECK(names_in(seen) == std::vector<Identifier>{Identifier::dns("example.com")});
      CHECK(seen.protocol == "acme-tls/1");
      CHECK(digest_in(seen) == crypto::acme_identifier_extension("token.thumbprint").value);
      CHECK(crypto::is_signed_by(seen.certificate, seen.certificate));
    }
  }
}

TEST_CASE("an address is asked for by its reverse name") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("192.0.2.53", "ip", "a.b");
  solver.add("2001:DB8:0:0:1:0:0:1", "ip", "c.d");
  const Seen v4 = look(Look(solver.port(), "53.2.0.192.in-addr.arpa"));
  CHECK(names_in(v4) == std::vector<Identifier>{Identifier::ip("192.0.2.53")});
  CHECK(digest_in(v4) == crypto::acme_identifier_extension("a.b").value);
  const Seen v6 = look(Look(solver.port(), "1.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"));
  CHECK(names_in(v6) == std::vector<Identifier>{Identifier::ip("2001:db8::1:0:0:1")});
  CHECK_FALSE(look(Look(solver.port(), "192.0.2.53")).failure.empty());
}

TEST_CASE("what is not asked as a CA asks is refused with the right alert") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("example.com", "dns", "a.b");
  for (const int version : versions) {
    CAPTURE(version);
    const auto refused = [&](const std::string& name, const std::vector<std::string>& protocols) {
      Look what(solver.port(), name);
      what.version = version;
      what.protocols = protocols;
      return look(what).failure;
    };
    CHECK(refused("example.com", {}).find("no application protocol") != std::string::npos);
    CHECK(refused("example.com", {"h2", "http/1.1"}).find("no application protocol") != std::string::npos);
    CHECK(refused("example.com", {"acme-tls/2", "acme-tls/"}).find("no application protocol") != std::string::npos);
    CHECK(refused("other.example.com", {"acme-tls/1"}).find("unrecognized name") != std::string::npos);
    CHECK(refused("", {"acme-tls/1"}).find("unrecognized name") != std::string::npos);
  }
  solver.remove("example.com", "dns");
  CHECK(look(Look(solver.port(), "example.com")).failure.find("unrecognized name") != std::string::npos);
  solver.remove("example.com", "dns");
  solver.remove("*.example.com", "dns");
}

TEST_CASE("TLS 1.1 is refused") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("example.com", "dns", "a.b");
  const ProgramRun run =
      run_program("timeout 20 openssl s_client -connect 127.0.0.1:" + std::to_string(solver.port()) +
                  " -tls1_1 -cipher 'ALL:@SECLEVEL=0' -alpn acme-tls/1 -servername example.com </dev/null");
  CHECK(run.output.find("BEGIN CERTIFICATE") == std::string::npos);
}

TEST_CASE("the openssl program sees the same") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("example.com", "dns", "a.b");
  const std::string connect = "timeout 20 openssl s_client -connect 127.0.0.1:" + std::to_string(solver.port());
  for (const char* version : {" -tls1_2", " -tls1_3"}) {
    CAPTURE(version);
    const ProgramRun good = run_program(connect + version + " -alpn acme-tls/1 -servername example.com </dev/null");
    CHECK_MESSAGE(good.output.find("ALPN protocol: acme-tls/1") != std::string::npos, good.output);
    CHECK(good.output.find("BEGIN CERTIFICATE") != std::string::npos);
    const ProgramRun bad = run_program(connect + version + " -alpn h2 -servername example.com </dev/null");
    CHECK_MESSAGE(bad.output.find("no application protocol") != std::string::npos, bad.output);
    CHECK(bad.output.find("BEGIN CERTIFICATE") == std::string::npos);
  }
}

TEST_CASE("many names side by side, each with its own certificate") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  constexpr int count = 40;
  const auto name = [](int i) { return "host" + std::to_string(i) + ".example.com"; };
  for (int i = 0; i < count; ++i) solver.add(name(i), "dns", "token." + std::to_string(i));
  std::vector<std::future<Seen>> seen;
  for (int i = 0; i < count; ++i)
    seen.push_back(std::async(std::launch::async, [&, i] { return look(Look(solver.port(), name(i))); }));
  for (int i = 0; i < count; ++i) {
    const Seen one = seen[static_cast<std::size_t>(i)].get();
    CHECK(names_in(one) == std::vector<Identifier>{Identifier::dns(name(i))});
    CHECK(digest_in(one) == crypto::acme_identifier_extension("token." + std::to_string(i)).value);
  }
  solver.add(name(0), "dns", "token.again");
  CHECK(digest_in(look(Look(solver.port(), name(0)))) == crypto::acme_identifier_extension("token.again").value);
}

TEST_CASE("wildcards and what is no name are not taken") {
  TlsAlpn01Solver solver(0);
  CHECK_THROWS_WITH_AS(solver.add("*.example.com", "dns", "a.b"), doctest::Contains("wildcard"), Error);
  CHECK_THROWS_AS(solver.add("example..com", "dns", "a.b"), Error);
  CHECK_THROWS_AS(solver.add("example.com", "ip", "a.b"), Error);
  CHECK_THROWS_AS(solver.add("ops@example.com", "email", "a.b"), Error);
  CHECK_FALSE(solver.can_solve(Identifier::dns("example.com"), true));
  CHECK(solver.can_solve(Identifier::dns("example.com"), false));
  CHECK(solver.can_solve(Identifier::ip("::1"), false));
}

TEST_CASE("idle and talkative connections keep no one from the answer") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("example.com", "dns", "a.b");
  asio::io_context context;
  std::vector<tcp::socket> idle;
  for (int i = 0; i < 400; ++i) {  // more than the responder keeps
    idle.emplace_back(context);
    idle.back().connect(tcp::endpoint(asio::ip::address_v4::loopback(), solver.port()));
    boost::system::error_code ignored;
    if (i % 3 == 0) idle.back().write_some(asio::buffer("\x16\x03\x01", 3), ignored);
    if (i % 3 == 1) idle.back().write_some(asio::buffer("GET / HTTP/1.1\r\n\r\n", 18), ignored);
  }
  const auto before = std::chrono::steady_clock::now();
  CHECK(names_in(look(Look(solver.port(), "example.com"))).size() == 1);
  CHECK(std::chrono::steady_clock::now() - before < 5s);
  char octet = 0;
  boost::system::error_code ended;
  while (!ended) idle.back().read_some(asio::buffer(&octet, 1), ended);  // the deadline ends it
  CHECK(std::chrono::steady_clock::now() - before < 20s);
}

TEST_CASE("cleanup() while others are connected frees the port and forgets the names, twice") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  solver.add("example.com", "dns", "a.b");
  const std::uint16_t port = solver.port();
  asio::io_context context;
  tcp::socket idle(context);
  idle.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port));
  CHECK(names_in(look(Look(port, "example.com"))).size() == 1);
  solver.cleanup();
  solver.cleanup();
  CHECK(solver.port() == 0);
  TlsAlpn01Solver next(port, "127.0.0.1");
  next.start_thread();
  CHECK(look(Look(port, "example.com")).failure.find("unrecognized name") != std::string::npos);
  TlsAlpn01Solver late(port, "127.0.0.1");
  CHECK_THROWS_WITH_AS(late.start_thread(), doctest::Contains("listening for tls-alpn-01"), Error);
  solver.start_thread();  // goes again, and knows nothing of before
  CHECK(look(Look(solver.port(), "example.com")).failure.find("unrecognized name") != std::string::npos);
}

TEST_CASE("IPv6 and IPv4 have the same port") {
  TlsAlpn01Solver solver(0);
  solver.start_thread();
  solver.add("example.com", "dns", "a.b");
  CHECK(names_in(look(Look(solver.port(), "example.com"))).size() == 1);
  if (!has_ipv6()) return;
  Look what(solver.port(), "example.com");
  what.v6 = true;
  CHECK(names_in(look(what)).size() == 1);
}

TEST_CASE("start() serves on the executor of who awaits it") {
  asio::io_context context;
  auto work = asio::make_work_guard(context);
  std::thread thread([&context] { context.run(); });
  auto solver = std::make_unique<TlsAlpn01Solver>(0, "127.0.0.1");
  asio::co_spawn(context, solver->start(), asio::use_future).get();
  asio::co_spawn(context, solver->present("example.com", "dns", "a.b"), asio::use_future).get();
  CHECK_THROWS_AS(asio::co_spawn(context, solver->present("*.example.com", "dns", "a.b"), asio::use_future).get(),
                  Error);
  CHECK(names_in(look(Look(solver->port(), "example.com"))).size() == 1);
  solver->cleanup();
  work.reset();
  thread.join();  // nothing keeps the context busy any more
}
