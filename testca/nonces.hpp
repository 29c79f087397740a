// Nonces (RFC 8555 §6.5): each is good once, for a limited time, and only so many are remembered.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_set>
#include <utility>

#include "testca/state.hpp"

namespace culmen::testca {

class Nonces {
 public:
  explicit Nonces(std::size_t limit = 10'000) : limit_(limit) {}

  void add(std::string nonce, TimePoint now);
  /// Whether it was good; it is not any more.
  bool consume(const std::string& nonce);
  void forget_older_than(TimePoint limit);
  std::size_t size() const noexcept { return good_.size(); }

 private:
  void forget_oldest();

  std::size_t limit_;
  std::unordered_set<std::string> good_;
  std::deque<std::pair<TimePoint, std::string>> by_age_;  ///< Consumed ones stay until they are the oldest.
};

}  // namespace culmen::testca
