// An installed culmen with the tests of storage engines.
#include <cstdio>
#include <culmen/storage_conformance.hpp>

int main() {
  const auto tests = culmen::storage_conformance();
  std::printf("%zu tests of storage engines\n", tests.size());
  return tests.empty() ? 1 : 0;
}
