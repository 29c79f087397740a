// Storages of a simulation: one that takes time, and one that checks what it is asked and what it does.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/monitor.hpp"
#include "simulation/scripted_ca.hpp"
#include "support/storage_around.hpp"

namespace culmen::simulation {

/// The number of the certificate that a key or a lease is about; Monitor::nobody if it is about none.
std::size_t number_of_key(std::string_view key);

/// Every call waits before and after.
class SlowStorage final : public test::StorageAround {
 public:
  SlowStorage(std::shared_ptr<Storage> storage, std::uint64_t seed, std::chrono::milliseconds slowest)
      : StorageAround(std::move(storage)), random_(seed), slowest_(slowest) {}

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override;
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override;
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override;
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override;
  Flow<Result<void>> release(Lease lease) override;

 private:
  template <class T>
  Flow<Result<T>> delayed(Flow<Result<T>> flow);
  std::mt19937_64 random_;
  std::chrono::milliseconds slowest_;
};

/// What was accepted, by all processes.
struct StorageTruth {
  StorageTruth(const ProcessDriver& driver_, Monitor& monitor_, const ScriptedCas* cas_)
      : driver(driver_), monitor(monitor_), cas(cas_) {}

  struct Held {
    std::uint64_t token = 0;
    bool is_held = false;
    bool is_long = false;
    Duration since{0}, until{0};
    Time acquired_at;
    std::string owner;
  };
  struct Record {
    std::uint64_t live = 0;
    std::optional<Time> not_after;
  };

  /// The numbers of the certificates whose leases that manager holds.
  std::vector<std::size_t> held_by(const std::string& owner) const;
  /// The lease of a certificate was held for longer than any attempt takes.
  void check_duration(const std::string& name, Held& held);
  void check_write(const Write& write, const Revision& revision);
  void check_generation(const std::string& key, const std::optional<std::string>& value);
  void check_record(const std::string& key, const std::string& value);
  /// What is left when all managers have stopped, but for the leases of those certificates.
  void check_end(const std::set<std::size_t>& but);

  const ProcessDriver& driver;
  Monitor& monitor;
  const ScriptedCas* cas;  ///< nullptr: certificates are real ones.
  std::map<std::string, Held> leases;
  std::map<std::string, std::string> revisions;
  std::map<std::string, std::size_t> generations;  ///< Serial numbers, by key.
  std::map<std::string, Record> records;
};

/// Checks that leases exclude each other and end in time, that nothing is written with a lease that was lost or in
/// place of another revision than the one expected, and that records and generations belong together.
class WatchedStorage final : public test::StorageAround {
 public:
  WatchedStorage(std::shared_ptr<Storage> storage, std::shared_ptr<StorageTruth> truth)
      : StorageAround(std::move(storage)), truth_(std::move(truth)) {}

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override;
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override;
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override;
  Flow<Result<void>> release(Lease lease) override;

 private:
  std::shared_ptr<StorageTruth> truth_;
};

}  // namespace culmen::simulation
