// A small part of `make chaos`.
#include <doctest/doctest.h>

#include "chaos.hpp"
#include "engine.hpp"
#include "support/temporary_folder.hpp"
#ifdef CULMEN_CHAOS_POSTGRES
#include "support/postgres_server.hpp"
#include "support/run_flow.hpp"
#endif

namespace {

[[maybe_unused]] void check_chaos(const std::string& engine, const std::string& place) {
  chaos::ChaosOptions options;
  options.engine = engine;
  options.place = place;
  const chaos::ChaosResult result = chaos::run_chaos(options);
  CAPTURE(result);
  CHECK(result.faults.empty());
  CHECK(result.accepted > 0);
  CHECK(result.kills == 4);
  CHECK(result.stops == 4);
}

}  // namespace

#ifdef CULMEN_CHAOS_POSTGRES
TEST_CASE("chaos on PostgreSQL: no late write, none lost, no token twice") {
  server_test::PostgresServer server;
  REQUIRE(culmen::test::run_flow(culmen::create_postgres_schema(culmen::PostgresOptions(server.connection()))));
  check_chaos("postgres", server.connection());
}
#endif
TEST_CASE("chaos on files: no late write, none lost, no token twice") {
  const culmen::test::TemporaryFolder folder;
  check_chaos("files", folder.path().string());
}
