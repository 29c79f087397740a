// What persist_writer writes, so that persist_crash_test.cpp knows what to find.
#pragma once

#include <string>

#include "culmen/persist.hpp"

namespace crash_test {

inline const std::string realm = "ops@example.test";
inline const std::string name = "crash.example.test";
inline const culmen::PersistKey account_key(realm, culmen::PersistKind::account_key, "account");

inline std::string text(const std::string& kind, int value) {
  std::string line = kind + " " + std::to_string(value) + "\n";
  std::string all;
  for (int i = 0; i < 150 + value % 50; ++i) all += line;
  return all;
}
inline std::string key_text(int value) { return text("key", value); }
inline culmen::PersistedCertificate pair(int value) { return {key_text(value), text("certificate", value)}; }
/// The value that a text was made of.
inline int value_of(const std::string& text) { return std::stoi(text.substr(text.find(' '))); }

}  // namespace crash_test
