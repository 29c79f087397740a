// An installed culmen with its storage in PostgreSQL, and the tests of engines. Nothing connects here.
#include <cstdio>
#include <culmen/postgres_storage.hpp>
#include <culmen/storage_conformance.hpp>

int main() {
  const auto storage = culmen::postgres_storage(culmen::PostgresOptions("host=127.0.0.1 port=1"));
  const auto tests = culmen::storage_conformance();
  std::printf("%zu tests of storage engines\n", tests.size());
  return storage->capabilities().many_in_one && !tests.empty() ? 0 : 1;
}
