// bench_responders: culmen's responders to be put under load, and the load; bench/micro.py puts it beside other
// servers.
//
//   bench_responders serve-http TOKEN KEY_AUTHORIZATION
//   bench_responders serve-tls NAME
//   bench_responders certificate NAME                     a certificate and its key for another TLS server
//   bench_responders load-http PORT PATH BODY SECONDS CONNECTIONS new|keep
//   bench_responders load-tls PORT NAME SECONDS CONNECTIONS 1.2|1.3
//
// A server prints its port and serves until its standard input ends. A load prints how many answers came, and in how
// many seconds.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "crypto/alpn_certificate.hpp"
#include "culmen/certificate.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/tls_alpn01_solver.hpp"
#include "load.hpp"

namespace {

using namespace culmen;
using namespace culmen::bench;

const std::string loopback = "127.0.0.1";
const std::string key_authorization = "token.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ";

void serve(std::uint16_t port) {
  std::cout << port << std::endl;
  while (std::cin.get() != std::istream::traits_type::eof()) continue;
}

void serve_http(const std::string& token, const std::string& answer) {
  Http01Solver solver(0, loopback);
  solver.add(token, answer);
  solver.start_thread();
  serve(solver.port());
}

void serve_tls(const std::string& name) {
  TlsAlpn01Solver solver(0, loopback);
  solver.add(name, "dns", key_authorization);
  solver.start_thread();
  serve(solver.port());
}

void print_certificate(const std::string& name) {
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const Bytes certificate =
      crypto::alpn_certificate(Identifier::dns(name), key_authorization, key, std::chrono::system_clock::now());
  std::cout << der_to_pem(certificate) << key.to_pem();
}

void print_result(const LoadResult& result) { std::printf("%llu %.6f\n", result.answers, result.seconds); }

bool run(const std::vector<std::string>& args) {
  const std::string command = args.empty() ? "" : args[0];
  const auto port = [&args] { return static_cast<std::uint16_t>(std::stoul(args[1])); };
  if (command == "serve-http" && args.size() == 3) {
    serve_http(args[1], args[2]);
  } else if (command == "serve-tls" && args.size() == 2) {
    serve_tls(args[1]);
  } else if (command == "certificate" && args.size() == 2) {
    print_certificate(args[1]);
  } else if (command == "load-http" && args.size() == 7) {
    const Load load(port(), std::stod(args[4]), std::stoi(args[5]));
    print_result(load_http(load, args[2], args[3], args[6] == "keep"));
  } else if (command == "load-tls" && args.size() == 6) {
    const Load load(port(), std::stod(args[3]), std::stoi(args[4]));
    print_result(load_tls(load, args[2], args[5] == "1.2"));
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) try {
  if (run(std::vector<std::string>(argv + 1, argv + argc))) return 0;
  std::cerr << "bench_responders: what it takes stands at the head of bench/micro/responders.cpp\n";
  return 2;
} catch (const std::exception& error) {
  std::cerr << "bench_responders: " << error.what() << '\n';
  return 1;
}
