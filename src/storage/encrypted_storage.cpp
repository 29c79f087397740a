#include "culmen/encrypted_storage.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "crypto/sealed.hpp"
#include "culmen/error.hpp"
#include "storage/keys.hpp"

namespace culmen {

namespace {

constexpr std::string_view any_mark = "culmen-enc ";          // of all versions
constexpr std::string_view encrypted_mark = "culmen-enc 1 ";  // then the id of the key, and a line feed
constexpr std::size_t longest_id = 64;

/// Whether values of this key stay readable. All others may contain private keys, those of kinds to come included.
bool stays_readable(std::string_view key) {
  for (const std::string_view prefix : {"rates/", "challenges/", "leases/"}) {
    if (key.starts_with(prefix)) return true;
  }
  constexpr std::string_view certificates = "certificates/", record = "/record";
  if (!key.starts_with(certificates) || !key.ends_with(record)) return false;
  key.remove_prefix(certificates.size());
  const std::size_t id = key.find('/');
  return id != std::string_view::npos && key.substr(id) == record;
}

void check_storage_keys(const std::vector<StorageKey>& keys) {
  const std::string doing = "setting up the encryption of a storage";
  if (keys.empty()) throw Error(Errc::invalid_argument, doing, "there is no key");
  std::set<std::string_view> ids;
  for (const StorageKey& key : keys) {
    const bool valid = !key.id.empty() && key.id.size() <= longest_id &&
                       key.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string::npos;
    const std::string name = "\"" + printable(key.id, 100) + "\"";
    if (!valid) {
      throw Error(Errc::invalid_argument, doing,
                  name + " is not the id of a key: 1 to 64 lower-case letters, digits, '-', '_' and '.' make one");
    }
    if (key.key.size() != crypto::seal_key_size) {
      throw Error(Errc::invalid_argument, doing,
                  "the key " + name + " has " + std::to_string(key.key.size()) + " octets; it needs 32");
    }
    if (!ids.insert(key.id).second) throw Error(Errc::invalid_argument, doing, "there are two keys " + name);
  }
}

class EncryptedStorage final : public Storage {
 public:
  EncryptedStorage(std::shared_ptr<Storage> storage, std::vector<StorageKey> keys)
      : storage_(std::move(storage)), keys_(std::move(keys)) {}

  StorageCapabilities capabilities() const noexcept override {
    constexpr std::size_t overhead = encrypted_mark.size() + longest_id + 1 + crypto::seal_overhead;
    StorageCapabilities capabilities = storage_->capabilities();
    capabilities.longest_value -= std::min(capabilities.longest_value, overhead);
    return capabilities;
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    const std::vector<std::string> wanted = keys;
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage_->load(std::move(keys));
    if (!loaded) co_return loaded;
    for (std::size_t at = 0; at < loaded->size() && at < wanted.size(); ++at) {
      std::optional<StoredValue>& stored = (*loaded)[at];
      if (!stored) continue;
      Result<void> read = decrypt(wanted[at], stored->value);
      if (!read) co_return read.error();
    }
    co_return loaded;
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    Result<std::vector<StoredItem>> listed =
        co_await storage_->list(std::move(prefix), std::move(after), limit, with_values);
    if (!listed || !with_values) co_return listed;
    for (StoredItem& item : *listed) {
      Result<void> read = decrypt(item.key, item.stored.value);
      if (!read) item.stored = StoredValue();  // as every storage lists what cannot be read
    }
    co_return listed;
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    if (Result<void> valid = storage::check_writes(writes, capabilities()); !valid) co_return valid.error();
    for (Write& write : writes) {
      if (!write.value || stays_readable(write.key)) continue;
      Result<std::string> encrypted = encrypt(write.key, *write.value);
      if (!encrypted) co_return encrypted.error();
      write.value = std::move(*encrypted);
    }
    Result<std::vector<Revision>> written = co_await storage_->write(std::move(writes));
    co_return written;
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    return storage_->acquire(std::move(name), std::move(owner), ttl);
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    return storage_->renew(std::move(leases), ttl);
  }
  Flow<Result<void>> release(Lease lease) override { return storage_->release(std::move(lease)); }
  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    return storage_->changed(std::move(prefix), std::move(cursor), patience);
  }

 private:
  Result<std::string> encrypt(const std::string& key, const std::string& value) const {
    return result_of([&] {
      const StorageKey& with = keys_.front();
      const Bytes sealed = crypto::seal(with.key, as_bytes(value), as_bytes(key));
      return std::string(encrypted_mark) + with.id + "\n" + std::string(as_text(sealed));
    });
  }

  /// In place. What is not encrypted stays.
  Result<void> decrypt(const std::string& key, std::string& value) const {
    if (stays_readable(key) || !value.starts_with(any_mark)) return {};
    const std::string doing = "decrypting the value of \"" + printable(key, 200) + "\"";
    if (!value.starts_with(encrypted_mark)) {
      return Error(Errc::crypto_failed, doing,
                   "it is encrypted in a way that this version of culmen does not know: a newer version wrote it; use "
                   "that one");
    }
    const std::size_t end = value.find('\n');
    const std::string id =
        end == std::string::npos ? "" : value.substr(encrypted_mark.size(), end - encrypted_mark.size());
    const auto with = std::ranges::find(keys_, id, &StorageKey::id);
    if (with == keys_.end()) {
      std::string known;
      for (const StorageKey& each : keys_) known += (known.empty() ? "\"" : ", \"") + each.id + "\"";
      return Error(Errc::crypto_failed, doing,
                   "it is encrypted with the key \"" + printable(id, 100) + "\", which is not among those given (" +
                       known + ")");
    }
    return result_of([&] {
      const std::optional<Bytes> plain =
          crypto::unseal(with->key, as_bytes(std::string_view(value).substr(end + 1)), as_bytes(key));
      if (!plain) {
        throw Error(Errc::crypto_failed, doing,
                    "the key \"" + id +
                        "\" does not decrypt it: another key with the same id was used, or the value was changed or "
                        "stored under another key of the storage");
      }
      value = as_text(*plain);
    });
  }

  std::shared_ptr<Storage> storage_;
  std::vector<StorageKey> keys_;
};

}  // namespace

std::shared_ptr<Storage> encrypted_storage(std::shared_ptr<Storage> storage, std::vector<StorageKey> keys) {
  check_storage_keys(keys);
  if (!storage) throw Error(Errc::invalid_argument, "setting up the encryption of a storage", "there is no storage");
  if (storage->capabilities().typed) {
    throw Error(Errc::invalid_argument, "setting up the encryption of a storage",
                "this storage keeps records as files that other programs read; they cannot be encrypted");
  }
  return std::make_shared<EncryptedStorage>(std::move(storage), std::move(keys));
}

}  // namespace culmen
