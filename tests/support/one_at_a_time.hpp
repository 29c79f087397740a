// A storage in memory that changes one key at a time, as a database without transactions does.
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/storage_around.hpp"

namespace culmen::test {

class OneAtATime final : public StorageAround {
 public:
  OneAtATime() : StorageAround(memory_storage()) {}

  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities = inner->capabilities();
    capabilities.many_in_one = false;
    return capabilities;
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    if (writes.size() > 1) throw std::logic_error("a write of several keys to a storage that changes one at a time");
    return inner->write(std::move(writes));
  }
};

}  // namespace culmen::test
