// A process that keeps its own certificate fresh: ordered, stored, handed over, renewed.
//   08_manager DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <atomic>
#include <cstdlib>
#include <iostream>

#include "culmen/http01_solver.hpp"
#include "culmen/manager.hpp"

using namespace culmen;

int main(int argc, char** argv) try {
  if (argc != 5) throw std::invalid_argument("usage: 08_manager DIRECTORY_URL NAME HTTP_PORT ROOT_FILE");
  auto solver = std::make_shared<Http01Solver>(static_cast<std::uint16_t>(std::atoi(argv[3])));
  solver->start_thread();
  ClientOptions client;
  client.transport.extra_root_file = argv[4];
  std::atomic<bool> is_ready = false;
  const auto install = [&](const InstalledCertificate& certificate) {  // also each renewal: a server uses it from here
    std::cout << certificate.chain_pem;
    is_ready = true;
    is_ready.notify_one();
  };
  Manager manager({.names = {argv[2]},
                   .contact = "ops@example.com",
                   .agree_tos = true,
                   .storage = memory_storage(),
                   .cas = {{.directory = argv[1]}},
                   .solvers = {solver},
                   .installed = install,
                   .log = [](LogLevel, std::string_view line) { std::cerr << line << '\n'; },
                   .client = client});
  manager.start_thread();
  is_ready.wait(false);
  manager.stop();
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
