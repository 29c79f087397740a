#include "manager/guarded_storage.hpp"

#include <functional>
#include <utility>

namespace culmen::manager {

namespace {

class GuardedStorage final : public Storage {
 public:
  explicit GuardedStorage(std::shared_ptr<Storage> inner) : inner_(std::move(inner)) {}

  StorageCapabilities capabilities() const noexcept override { return inner_->capabilities(); }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    const std::string doing = keys.empty() ? "reading nothing" : "reading " + keys.front();
    std::function<Flow<Result<std::vector<std::optional<StoredValue>>>>()> make =
        [inner = inner_, keys = std::move(keys)]() mutable { return inner->load(std::move(keys)); };
    return guarded(std::move(make), doing);
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    const std::string doing = "listing " + prefix;
    std::function<Flow<Result<std::vector<StoredItem>>>()> make =
        [inner = inner_, prefix = std::move(prefix), after = std::move(after), limit, with_values]() mutable {
          return inner->list(std::move(prefix), std::move(after), limit, with_values);
        };
    return guarded(std::move(make), doing);
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    const std::string doing = writes.empty() ? "storing nothing" : "storing " + writes.front().key;
    std::function<Flow<Result<std::vector<Revision>>>()> make = [inner = inner_, writes = std::move(writes)]() mutable {
      return inner->write(std::move(writes));
    };
    return guarded(std::move(make), doing);
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    const std::string doing = "acquiring the lease " + name;
    std::function<Flow<Result<std::optional<Lease>>>()> make = [inner = inner_, name = std::move(name),
                                                                owner = std::move(owner), ttl]() mutable {
      return inner->acquire(std::move(name), std::move(owner), ttl);
    };
    return guarded(std::move(make), doing);
  }

  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    std::function<Flow<Result<std::vector<std::optional<Lease>>>>()> make =
        [inner = inner_, leases = std::move(leases), ttl]() mutable { return inner->renew(std::move(leases), ttl); };
    return guarded(std::move(make), "renewing leases");
  }

  Flow<Result<void>> release(Lease lease) override {
    const std::string doing = "releasing the lease " + lease.name;
    std::function<Flow<Result<void>>()> make = [inner = inner_, lease = std::move(lease)]() mutable {
      return inner->release(std::move(lease));
    };
    return guarded(std::move(make), doing);
  }

  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    const std::string doing = "waiting for changes below " + prefix;
    std::function<Flow<Result<std::string>>()> make = [inner = inner_, prefix = std::move(prefix),
                                                       cursor = std::move(cursor), patience]() mutable {
      return inner->changed(std::move(prefix), std::move(cursor), patience);
    };
    return guarded(std::move(make), doing);
  }

 private:
  const std::shared_ptr<Storage> inner_;
};

}  // namespace

std::shared_ptr<Storage> guarded_storage(std::shared_ptr<Storage> storage) {
  return std::make_shared<GuardedStorage>(std::move(storage));
}

}  // namespace culmen::manager
