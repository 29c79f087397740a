#include "culmen/persist_on_storage.hpp"

#include <utility>

#include "culmen/error.hpp"
#include "storage/pair.hpp"

namespace culmen {

namespace {

constexpr int most_tries = 20;

std::string storage_key(const PersistKey& key) {
  PersistKey stored = key;
  if (key.kind == PersistKind::private_key) stored.kind = PersistKind::certificate;  // both are one value
  return "realms/" + stored.to_string();
}

storage::Pair pair_in(const std::optional<StoredValue>& stored, const std::string& key) {
  if (!stored) return {};
  std::optional<storage::Pair> pair = storage::pair_of(stored->value);
  if (pair) return std::move(*pair);
  throw Error(Errc::io_failed, "reading \"" + key + "\"",
              "it is not a certificate and its key as culmen stores them; remove it, or restore it from a backup");
}

}  // namespace

PersistOnStorage::PersistOnStorage(blocking::Storage storage) : storage_(std::move(storage)) {}

void PersistOnStorage::put(const PersistKey& key, std::string_view value) {
  const std::string where = storage_key(key);
  if (key.kind == PersistKind::account_key) {
    storage_.write_one(Write(where, std::string(value)));
    return;
  }
  for (int tries = 1;; ++tries) {
    const std::optional<StoredValue> stored = storage_.load_one(where);
    storage::Pair pair = pair_in(stored, where);
    (key.kind == PersistKind::private_key ? pair.private_key : pair.certificate) = std::string(value);
    Write write(where, storage::pair_text(pair));
    write.expected = stored ? stored->revision : Revision();
    try {
      storage_.write_one(std::move(write));
      return;
    } catch (const Error& error) {
      if (error.code() != Errc::conflict || tries == most_tries) throw;
    }
  }
}

std::optional<std::string> PersistOnStorage::get(const PersistKey& key) {
  const std::string where = storage_key(key);
  std::optional<StoredValue> stored = storage_.load_one(where);
  if (key.kind != PersistKind::account_key) {
    storage::Pair pair = pair_in(stored, where);
    return key.kind == PersistKind::private_key ? std::move(pair.private_key) : std::move(pair.certificate);
  }
  if (!stored) return std::nullopt;
  return std::move(stored->value);
}

std::string PersistOnStorage::put_if_absent(const PersistKey& key, std::string_view value) {
  if (key.kind != PersistKind::account_key) return Persist::put_if_absent(key, value);
  const std::string where = storage_key(key);
  for (int tries = 1;; ++tries) {
    std::optional<StoredValue> stored = storage_.load_one(where);
    if (stored && !stored->value.empty()) return std::move(stored->value);
    Write write(where, std::string(value));
    write.expected = stored ? stored->revision : Revision();
    try {
      storage_.write_one(std::move(write));
      return std::string(value);
    } catch (const Error& error) {
      if (error.code() != Errc::conflict || tries == most_tries) throw;
    }
  }
}

void PersistOnStorage::erase(const PersistKey& key) {
  if (key.kind != PersistKind::account_key) return Persist::erase(key);
  storage_.write_one(Write(storage_key(key)));
}

void PersistOnStorage::put_certificate(const std::string& realm, const std::string& name,
                                       const PersistedCertificate& stored) {
  storage::Pair pair;
  pair.private_key = stored.private_key;
  pair.certificate = stored.certificate;
  const std::string where = storage_key(PersistKey(realm, PersistKind::certificate, name));
  storage_.write_one(Write(where, storage::pair_text(pair)));
}

std::optional<PersistedCertificate> PersistOnStorage::get_certificate(const std::string& realm,
                                                                      const std::string& name) {
  const std::string where = storage_key(PersistKey(realm, PersistKind::certificate, name));
  storage::Pair pair = pair_in(storage_.load_one(where), where);
  if (!pair.private_key || !pair.certificate) return std::nullopt;
  return PersistedCertificate(std::move(*pair.private_key), std::move(*pair.certificate));
}

}  // namespace culmen
