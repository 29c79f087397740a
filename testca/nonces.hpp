// Nonces (RFC 8555 §6.5): each is good once, and only so many are remembered.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_set>

namespace culmen::testca {

class Nonces {
 public:
  explicit Nonces(std::size_t limit = 10'000) : limit_(limit) {}

  void add(std::string nonce);
  /// Whether it was good; it is not any more.
  bool consume(const std::string& nonce);

 private:
  std::size_t limit_;
  std::unordered_set<std::string> good_;
  std::deque<std::string> by_age_;  ///< Consumed ones stay until they are the oldest.
};

}  // namespace culmen::testca
