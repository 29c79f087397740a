// A process that keeps its own certificate fresh: ordered, stored, handed over, renewed.
//
//   08_manager DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <cstdlib>
#include <future>
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
  std::promise<std::string> installed;
  Manager manager({.names = {argv[2]},
                   .contact = "ops@example.com",
                   .agree_tos = true,
                   .storage = memory_storage(),
                   .cas = {{.directory = argv[1]}},
                   .solvers = {solver},
                   .installed = [&](const InstalledCertificate& it) { installed.set_value(it.chain_pem); },
                   .log = [](LogLevel, std::string_view line) { std::cerr << line << '\n'; },
                   .client = client});
  manager.start_thread();
  std::cout << installed.get_future().get();  // a server would serve here, and get every renewal in `installed`
  manager.stop();
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
