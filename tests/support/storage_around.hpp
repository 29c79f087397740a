// A storage that passes everything on to another one: the base of those that do something differently.
#pragma once

#include <memory>
#include <utility>

#include "culmen/storage.hpp"

namespace culmen::test {

class StorageAround : public Storage {
 public:
  explicit StorageAround(std::shared_ptr<Storage> inner_) : inner(std::move(inner_)) {}

  StorageCapabilities capabilities() const noexcept override { return inner->capabilities(); }
  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    return inner->load(std::move(keys));
  }
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    return inner->list(std::move(prefix), std::move(after), limit, with_values);
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    return inner->write(std::move(writes));
  }
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    return inner->acquire(std::move(name), std::move(owner), ttl);
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    return inner->renew(std::move(leases), ttl);
  }
  Flow<Result<void>> release(Lease lease) override { return inner->release(std::move(lease)); }
  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    return inner->changed(std::move(prefix), std::move(cursor), patience);
  }

 protected:
  std::shared_ptr<Storage> inner;
};

}  // namespace culmen::test
