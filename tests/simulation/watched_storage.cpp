#include "simulation/watched_storage.hpp"

#include <algorithm>

#include "culmen/certificate_record.hpp"
#include "culmen/records.hpp"

namespace culmen::simulation {

namespace {
constexpr std::string_view certificates = "certificates/";
constexpr std::string_view record_end = "/record";
/// An attempt takes two minutes at the slowest CA, and waits for storage.
constexpr std::chrono::minutes longest_hold(12);

bool is_generation_key(std::string_view key) {
  const std::string_view last = key.substr(key.rfind('/') + 1);
  return key.starts_with(certificates) && last.find_first_not_of("0123456789") == std::string_view::npos;
}
}  // namespace

std::size_t number_of_key(std::string_view key) {
  if (!key.starts_with(certificates)) return Monitor::nobody;
  return number_of(key.substr(certificates.size())).value_or(Monitor::nobody);
}

// ---- SlowStorage ----

template <class T>
Flow<Result<T>> SlowStorage::delayed(Flow<Result<T>> flow) {
  const auto dice = [this] {
    return std::chrono::milliseconds(static_cast<std::int64_t>(random_() % (slowest_.count() + 1)));
  };
  Result<void> waited = co_await wait(dice());
  if (!waited) co_return waited.error();
  Result<T> result = co_await std::move(flow);
  waited = co_await wait(dice());
  if (!waited) co_return waited.error();
  co_return result;
}

Flow<Result<std::vector<std::optional<StoredValue>>>> SlowStorage::load(std::vector<std::string> keys) {
  return delayed(inner->load(std::move(keys)));
}
Flow<Result<std::vector<StoredItem>>> SlowStorage::list(std::string prefix, std::string after, std::size_t limit,
                                                        bool with_values) {
  return delayed(inner->list(std::move(prefix), std::move(after), limit, with_values));
}
Flow<Result<std::vector<Revision>>> SlowStorage::write(std::vector<Write> writes) {
  return delayed(inner->write(std::move(writes)));
}
Flow<Result<std::optional<Lease>>> SlowStorage::acquire(std::string name, std::string owner, std::chrono::seconds ttl) {
  return delayed(inner->acquire(std::move(name), std::move(owner), ttl));
}
Flow<Result<std::vector<std::optional<Lease>>>> SlowStorage::renew(std::vector<Lease> leases,
                                                                   std::chrono::seconds ttl) {
  return delayed(inner->renew(std::move(leases), ttl));
}
Flow<Result<void>> SlowStorage::release(Lease lease) { return delayed(inner->release(std::move(lease))); }

// ---- WatchedStorage ----

Flow<Result<std::vector<Revision>>> WatchedStorage::write(std::vector<Write> writes) {
  std::vector<Write> asked = writes;
  Result<std::vector<Revision>> written = co_await inner->write(std::move(writes));
  for (std::size_t i = 0; written && i < asked.size(); ++i) {
    truth_->check_generation(asked[i].key, asked[i].value);
    truth_->check_write(asked[i], (*written)[i]);
  }
  for (std::size_t i = 0; written && i < asked.size(); ++i) {
    if (asked[i].value && asked[i].key.ends_with(record_end)) truth_->check_record(asked[i].key, *asked[i].value);
  }
  co_return written;
}

Flow<Result<std::optional<Lease>>> WatchedStorage::acquire(std::string name, std::string owner,
                                                           std::chrono::seconds ttl) {
  Result<std::optional<Lease>> acquired = co_await inner->acquire(name, owner, ttl);
  if (!acquired) co_return acquired;
  StorageTruth::Held& held = truth_->leases[name];
  const std::size_t number = number_of_key(name);
  const Duration now = truth_->driver.elapsed();
  const bool was_held = held.is_held && held.until > now;
  if (*acquired) {
    if (was_held) truth_->monitor.fail(number, "the lease was given to " + owner + " while another held it");
    if ((*acquired)->token <= held.token) truth_->monitor.fail(number, "a token of the lease was used again");
    held.token = (*acquired)->token;
    held.owner = owner;
    held.is_held = true;
    held.is_long = false;
    held.since = now;
    held.acquired_at = truth_->driver.now();
    held.until = now + ttl;
    truth_->monitor.note(number, 10, owner + " has the lease, token " + std::to_string(held.token));
  } else if (!was_held && now > held.until + Duration(ttl) / 5) {
    truth_->monitor.fail(number, "the lease is refused although it ended " + in_days(now - held.until) + " ago");
  }
  co_return acquired;
}

Flow<Result<std::vector<std::optional<Lease>>>> WatchedStorage::renew(std::vector<Lease> leases,
                                                                      std::chrono::seconds ttl) {
  const std::vector<Lease> asked = leases;
  Result<std::vector<std::optional<Lease>>> renewed = co_await inner->renew(std::move(leases), ttl);
  for (std::size_t i = 0; renewed && i < asked.size(); ++i) {
    if (!(*renewed)[i]) continue;
    StorageTruth::Held& held = truth_->leases[asked[i].name];
    if (asked[i].token != held.token) {
      truth_->monitor.fail(number_of_key(asked[i].name), "a lease was renewed that another holds by now");
      continue;
    }
    held.until = truth_->driver.elapsed() + ttl;
    truth_->check_duration(asked[i].name, held);
  }
  co_return renewed;
}

Flow<Result<void>> WatchedStorage::release(Lease lease) {
  const Lease asked = lease;
  Result<void> released = co_await inner->release(std::move(lease));
  StorageTruth::Held& held = truth_->leases[asked.name];
  if (released && held.token == asked.token && held.is_held) {
    truth_->check_duration(asked.name, held);
    held.is_held = false;
    held.until = std::min(held.until, truth_->driver.elapsed());
  }
  co_return released;
}

// ---- StorageTruth ----

std::vector<std::size_t> StorageTruth::held_by(const std::string& owner) const {
  std::vector<std::size_t> numbers;
  for (const auto& [name, held] : leases) {
    const std::size_t number = number_of_key(name);
    if (held.is_held && held.owner == owner && held.until > driver.elapsed() && number != Monitor::nobody)
      numbers.push_back(number);
  }
  return numbers;
}

void StorageTruth::check_duration(const std::string& name, Held& held) {
  const std::size_t number = number_of_key(name);
  if (held.is_long || number == Monitor::nobody || driver.elapsed() - held.since <= longest_hold) return;
  held.is_long = true;
  if (monitor.was_disturbed(number, held.acquired_at)) return;
  monitor.fail(number, "a worker has held the certificate for " + in_days(driver.elapsed() - held.since));
}

void StorageTruth::check_write(const Write& write, const Revision& revision) {
  const std::size_t number = number_of_key(write.key);
  if (write.fence) {
    const Held& held = leases[write.fence->name];
    if (write.fence->token < held.token) {
      monitor.fail(number, "a write of " + write.key + " with token " + std::to_string(write.fence->token) +
                               " was accepted, although token " + std::to_string(held.token) + " was given out");
    }
  }
  std::string& known = revisions[write.key];
  if (write.expected && write.expected->text != known) {
    monitor.fail(number, "a write of " + write.key + " in place of revision \"" + write.expected->text +
                             "\" was accepted, although revision \"" + known + "\" was there");
  }
  known = revision.text;
  if (known.empty()) revisions.erase(write.key);
}

void StorageTruth::check_generation(const std::string& key, const std::optional<std::string>& value) {
  if (!cas || !is_generation_key(key)) return;
  const std::size_t number = number_of_key(key);
  if (!value) {
    generations.erase(key);
    return;
  }
  Result<Generation> generation = decode_generation(*value);
  if (!generation) {
    monitor.fail(number, generation.error().what());
    return;
  }
  const std::optional<std::size_t> serial = cas->serial_of(generation->chain_pem);
  if (!serial || cas->issued(*serial).name != number) {
    monitor.fail(number, key + " is not a certificate for this name");
    return;
  }
  if (generation->key_pem != cas->key_pem(cas->issued(*serial).key)) {
    monitor.fail(number, "the key of " + key + " does not belong to its certificate");
  }
  generations[key] = *serial;
}

void StorageTruth::check_record(const std::string& key, const std::string& value) {
  if (!cas) return;
  const std::size_t number = number_of_key(key);
  Result<CertificateRecord> record = decode_certificate_record(value);
  if (!record) {
    monitor.fail(number, record.error().what());
    return;
  }
  Record& known = records[key];
  if (record->live == 0) {
    if (known.live != 0) monitor.fail(number, "the record says that there is no certificate any more");
    return;
  }
  const auto generation = generations.find(generation_key(name_of(number), record->live));
  if (generation == generations.end()) {
    monitor.fail(number, "the record names generation " + std::to_string(record->live) + ", which is not there");
    return;
  }
  const ScriptedCas::Issued& issued = cas->issued(generation->second);
  if (record->certificate_id != cas->certificate_id_of(generation->second) || record->not_after != issued.not_after) {
    monitor.fail(number, "the record does not describe certificate " + std::to_string(generation->second));
  }
  if (record->live != known.live && known.not_after && issued.not_after < *known.not_after) {
    monitor.fail(number, "a certificate was put in place of one that expires later");
  }
  known.live = record->live;
  known.not_after = issued.not_after;
}

void StorageTruth::check_end(const std::set<std::size_t>& but) {
  for (auto& [name, held] : leases) {
    const bool is_left = held.is_held && held.until > driver.elapsed() && !but.contains(number_of_key(name));
    if (is_left && !monitor.was_disturbed(number_of_key(name), held.acquired_at)) {
      monitor.fail(number_of_key(name), "the lease " + name + " is left");
    }
  }
}

}  // namespace culmen::simulation
