// An installed culmen with its storage in PostgreSQL. Nothing connects here.
#include <culmen/postgres_storage.hpp>

int main() {
  const auto storage = culmen::postgres_storage(culmen::PostgresOptions("host=127.0.0.1 port=1"));
  return storage->capabilities().many_in_one ? 0 : 1;
}
