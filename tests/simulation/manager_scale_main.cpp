// culmen_manager_scale ENGINE CERTIFICATES: what a manager costs on that engine, as one line of CSV: the number of
// certificates, seconds and CPU seconds from start to the first plan, CPU seconds an hour, octets a certificate.
//
// ENGINE is memory, or postgres: a server of its own on the loopback interface, which tools/get-servers.sh unpacks.
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "simulation/manager_scale.hpp"
#ifdef CULMEN_SCALE_POSTGRES
#include "culmen/postgres_storage.hpp"
#include "support/postgres_server.hpp"
#include "support/run_flow.hpp"
#endif

using namespace culmen;

namespace {

void print_scale(std::size_t certificates, const std::shared_ptr<Storage>& storage) {
  const simulation::Scale scale = simulation::measure_scale(certificates, storage);
  std::printf("%zu,%.3f,%.3f,%.3f,%.0f\n", scale.certificates, scale.start_seconds, scale.start_cpu_seconds,
              scale.hour_cpu_seconds, scale.octets);
}

void measure(const std::string& engine, std::size_t certificates) {
  if (engine == "memory") return print_scale(certificates, memory_storage());
  if (engine != "postgres") throw std::invalid_argument("there is no engine \"" + engine + "\"");
#ifdef CULMEN_SCALE_POSTGRES
  const server_test::PostgresServer server;
  const PostgresOptions options(server.connection());
  test::run_flow(create_postgres_schema(options)).value();
  print_scale(certificates, postgres_storage(options));
#else
  throw std::runtime_error("it was built without PostgreSQL");
#endif
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) throw std::invalid_argument("usage: culmen_manager_scale memory|postgres CERTIFICATES");
  measure(argv[1], std::stoull(argv[2]));
} catch (const std::exception& error) {
  std::fprintf(stderr, "culmen_manager_scale: %s\n", error.what());
  return 1;
}
