// culmen_chaos ENGINE [SECONDS [SEED]]: runs the chaos on "postgres" or "files", in a place of its own, and prints what
// came of it. The exit status is 1 if anything was wrong.
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>

#include "chaos.hpp"
#include "engine.hpp"
#include "support/temporary_folder.hpp"
#ifdef CULMEN_CHAOS_POSTGRES
#include "support/postgres_server.hpp"
#include "support/run_flow.hpp"
#endif

int main(int argc, char** argv) try {
  chaos::ChaosOptions options;
  options.engine = argc > 1 ? argv[1] : "";
  options.duration = std::chrono::seconds(argc > 2 ? std::atoi(argv[2]) : 60);
  options.seed = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
  const culmen::test::TemporaryFolder folder;
  options.place = folder.path().string();
#ifdef CULMEN_CHAOS_POSTGRES
  std::unique_ptr<server_test::PostgresServer> server;
  if (options.engine == "postgres") {
    server = std::make_unique<server_test::PostgresServer>(std::vector<std::string>{"fsync=on"});
    options.place = server->connection();
    culmen::test::run_flow(culmen::create_postgres_schema(culmen::PostgresOptions(options.place))).value();
  }
#endif
  const chaos::ChaosResult result = chaos::run_chaos(options);
  std::cout << options.engine << ", seed " << options.seed << ": " << result << std::endl;
  return result.faults.empty() ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "culmen_chaos: " << error.what() << std::endl;
  return 1;
}
