#include "simulation/planted_bugs.hpp"

#include <chrono>
#include <cstdint>

#include "culmen/certificate_record.hpp"
#include "support/storage_around.hpp"

namespace culmen::simulation {

namespace {

using test::StorageAround;

class UnfencedStorage final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) write.fence.reset();
    return inner->write(std::move(writes));
  }
};

class TwoStepStorage final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    return compare_then_write(inner, std::move(writes));
  }

 private:
  static Flow<Result<std::vector<Revision>>> compare_then_write(std::shared_ptr<Storage> storage,
                                                                std::vector<Write> writes) {
    std::vector<std::string> keys;
    for (const Write& write : writes) keys.push_back(write.key);
    Result<std::vector<std::optional<StoredValue>>> there = co_await storage->load(std::move(keys));
    if (!there) co_return there.error();
    for (std::size_t i = 0; i < writes.size(); ++i) {
      const Revision revision = (*there)[i] ? (*there)[i]->revision : Revision();
      if (writes[i].expected && *writes[i].expected != revision) {
        co_return Error(Errc::conflict, "storing " + writes[i].key, "it has changed");
      }
      writes[i].expected.reset();
    }
    Result<void> waited = co_await wait(std::chrono::milliseconds(40));
    if (!waited) co_return waited.error();
    Result<std::vector<Revision>> written = co_await storage->write(std::move(writes));
    co_return written;
  }
};

class WallClockLeases final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    return acquire_by_wall_clock(std::move(name), std::move(owner), ttl);
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    return renew_by_wall_clock(std::move(leases), ttl);
  }
  Flow<Result<void>> release(Lease lease) override {
    const auto found = ends_.find(lease.name);
    if (found != ends_.end() && found->second.first.token == lease.token) ends_.erase(found);
    return inner->release(std::move(lease));
  }

 private:
  using WallTime = std::chrono::system_clock::time_point;

  Flow<Result<std::optional<Lease>>> acquire_by_wall_clock(std::string name, std::string owner,
                                                           std::chrono::seconds ttl) {
    const Instant instant = co_await now();
    const auto found = ends_.find(name);
    if (found != ends_.end()) {
      if (found->second.second > instant.wall) co_return std::optional<Lease>();
      Result<void> released = co_await inner->release(found->second.first);
      if (!released) co_return released.error();
    }
    Result<std::optional<Lease>> acquired = co_await inner->acquire(name, std::move(owner), ttl);
    if (acquired && *acquired) ends_[name] = std::pair(**acquired, instant.wall + ttl);
    co_return acquired;
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew_by_wall_clock(std::vector<Lease> leases,
                                                                      std::chrono::seconds ttl) {
    const Instant instant = co_await now();
    const std::vector<Lease> asked = leases;
    Result<std::vector<std::optional<Lease>>> renewed = co_await inner->renew(std::move(leases), ttl);
    for (std::size_t i = 0; renewed && i < asked.size(); ++i) {
      const auto found = ends_.find(asked[i].name);
      const bool is_ours = found != ends_.end() && found->second.first.token == asked[i].token;
      if (!is_ours || found->second.second <= instant.wall) {
        (*renewed)[i].reset();
      } else if ((*renewed)[i]) {
        found->second.second = instant.wall + ttl;
      }
    }
    co_return renewed;
  }

  std::map<std::string, std::pair<Lease, WallTime>> ends_;
};

/// Changes the records that are written.
class RecordChanger : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) final {
    for (Write& write : writes) {
      if (!write.value || !write.key.ends_with("/record")) continue;
      Result<CertificateRecord> record = decode_certificate_record(*write.value);
      if (!record) continue;
      change(write.key, *record);
      write.value = encode(*record);
    }
    return inner->write(std::move(writes));
  }

 protected:
  virtual void change(const std::string& key, CertificateRecord& record) = 0;
};

class KeepsRenewalInfo final : public RecordChanger {
 public:
  using RecordChanger::RecordChanger;

 private:
  void change(const std::string& key, CertificateRecord& record) override {
    auto& [live, renewal] = known_[key];
    if (live != 0 && record.live != live && !record.renewal.info) record.renewal = renewal;
    live = record.live;
    renewal = record.renewal;
  }
  std::map<std::string, std::pair<std::uint64_t, RenewalState>> known_;
};

class ForgetsAttempts final : public RecordChanger {
 public:
  using RecordChanger::RecordChanger;

 private:
  void change(const std::string&, CertificateRecord& record) override { record.attempts.clear(); }
};

/// Each manager has ledgers of its own.
class OwnLedgers final : public StorageAround {
 public:
  OwnLedgers(std::shared_ptr<Storage> storage, std::size_t manager)
      : StorageAround(std::move(storage)), suffix_("-" + std::to_string(manager)) {}
  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    for (std::string& key : keys) rename(key);
    return inner->load(std::move(keys));
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) rename(write.key);
    return inner->write(std::move(writes));
  }

 private:
  void rename(std::string& key) const {
    if (key.starts_with("rates/")) key += suffix_;
  }
  const std::string suffix_;
};

}  // namespace

std::shared_ptr<Storage> with_bug(std::shared_ptr<Storage> storage, Bug bug) {
  switch (bug) {
    case Bug::unfenced_write: return std::make_shared<UnfencedStorage>(std::move(storage));
    case Bug::two_step_compare: return std::make_shared<TwoStepStorage>(std::move(storage));
    case Bug::wall_clock_lease: return std::make_shared<WallClockLeases>(std::move(storage));
    case Bug::kept_renewal_info: return std::make_shared<KeepsRenewalInfo>(std::move(storage));
    case Bug::forgotten_back_off: return std::make_shared<ForgetsAttempts>(std::move(storage));
    case Bug::none:
    case Bug::halved_retry_after:
    case Bug::forgotten_orders:
    case Bug::no_throttle:
    case Bug::sleeping_job: break;
  }
  return storage;
}

std::shared_ptr<Storage> with_own_bug(std::shared_ptr<Storage> storage, Bug bug, std::size_t manager) {
  if (bug == Bug::forgotten_orders) return std::make_shared<OwnLedgers>(std::move(storage), manager);
  return storage;
}

}  // namespace culmen::simulation
