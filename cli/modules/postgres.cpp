// storage-postgres.so: the program's storage in PostgreSQL. Only this module needs libpq.
#include <utility>

#include "cli/storage_module.hpp"
#include "culmen/postgres_storage.hpp"
#include "culmen/version.hpp"

namespace culmen::cli {

namespace {

std::shared_ptr<Storage> open_postgres(const std::string& url) { return postgres_storage(PostgresOptions(url)); }

Flow<Result<void>> init_postgres(const std::string& url) { return create_postgres_schema(PostgresOptions(url)); }

}  // namespace

// A function of the library would say the program's version.
extern "C" const StorageModule* culmen_storage_module() {
  static const StorageModule module = {CULMEN_VERSION, open_postgres, init_postgres};
  return &module;
}

}  // namespace culmen::cli
