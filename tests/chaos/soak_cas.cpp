// soak_cas ROOT_FILE HTTP_PORT FAULT_PERCENT LIFETIME…: a test CA for each lifetime in seconds. Prints their directory
// URLs and "ready"; answers each line of input with "orders <n> certificates <n>"; ends with its input.
#include <chrono>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "culmen/test_ca.hpp"

int main(int argc, char** argv) try {
  using namespace culmen;
  if (argc < 5) throw std::runtime_error("usage: soak_cas ROOT_FILE HTTP_PORT FAULT_PERCENT LIFETIME…");
  std::vector<std::unique_ptr<TestCa>> cas;
  std::ofstream roots(argv[1]);
  for (int i = 4; i < argc; ++i) {
    TestCaOptions options;
    options.certificate_lifetime = std::chrono::seconds(std::atoi(argv[i]));
    options.keep_expired = std::chrono::minutes(2);
    options.order_lifetime = std::chrono::minutes(10);
    options.authorization_lifetime = std::chrono::minutes(10);
    options.http_port = static_cast<std::uint16_t>(std::atoi(argv[2]));
    options.resolve["*"] = "127.0.0.1";
    options.faults = TestCaFaults::everything(std::atoi(argv[3]));
    options.faults.busy_retry_after = "1";
    options.faults.slow_delay = std::chrono::seconds(2);
    cas.push_back(std::make_unique<TestCa>(options));
    cas.back()->start();
    roots << cas.back()->root_pem();
    std::cout << cas.back()->directory_url() << '\n';
  }
  roots.close();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    int orders = 0, certificates = 0, total = 0;
    for (const std::unique_ptr<TestCa>& ca : cas) {
      const auto counts = ca->request_counts();
      const auto number = [&](const char* resource) { return counts.contains(resource) ? counts.at(resource) : 0; };
      orders += number("new-order");
      certificates += number("certificate");
      total += number("total");
    }
    std::cout << line << ": " << total << " requests, " << orders << " for orders, " << certificates
              << " for certificates" << std::endl;
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "soak_cas: " << error.what() << std::endl;
  return 1;
}
