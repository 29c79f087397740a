#include "testca/nonces.hpp"

namespace culmen::testca {

void Nonces::add(std::string nonce, TimePoint now) {
  by_age_.emplace_back(now, nonce);
  good_.insert(std::move(nonce));
  while (by_age_.size() > limit_) forget_oldest();
}

bool Nonces::consume(const std::string& nonce) { return good_.erase(nonce) == 1; }

void Nonces::forget_older_than(TimePoint limit) {
  while (!by_age_.empty() && by_age_.front().first < limit) forget_oldest();
}

void Nonces::forget_oldest() {
  good_.erase(by_age_.front().second);
  by_age_.pop_front();
}

}  // namespace culmen::testca
