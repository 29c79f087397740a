// An issuance, as the tests of file storages write it.
#pragma once

#include <string>
#include <vector>

#include "support/file_state.hpp"

namespace culmen::test {

inline const std::string record_key = "certificates/a.example/record";
inline const std::string pending_key = "certificates/a.example/pending";
inline const std::string account_key = "accounts/ca.example_directory/account";
/// The key of a generation.
inline std::string generation(int number) { return "certificates/a.example/" + std::to_string(number); }

inline std::vector<Write> issuance(int number) {
  std::vector<Write> writes;
  writes.emplace_back(generation(number), generation_text(number));
  writes.emplace_back(record_key, record_text(number));
  writes.emplace_back(pending_key);
  return writes;
}

}  // namespace culmen::test
