#include "testca/nonces.hpp"

namespace culmen::testca {

void Nonces::add(std::string nonce) {
  by_age_.push_back(nonce);
  good_.insert(std::move(nonce));
  while (by_age_.size() > limit_) {
    good_.erase(by_age_.front());
    by_age_.pop_front();
  }
}

bool Nonces::consume(const std::string& nonce) { return good_.erase(nonce) == 1; }

}  // namespace culmen::testca
