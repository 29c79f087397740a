// Test data.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

inline std::string test_data(const std::string& name) {
  std::ifstream file(std::string(CULMEN_TEST_DATA) + "/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("no test data " + name);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
