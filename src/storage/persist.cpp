#include "culmen/persist.hpp"

#include <map>
#include <mutex>
#include <utility>

#include "culmen/error.hpp"
#include "culmen/storage.hpp"

namespace culmen {

namespace {

constexpr PersistKind kinds[] = {PersistKind::account_key, PersistKind::certificate, PersistKind::private_key};

std::optional<PersistKind> kind_named(std::string_view name) {
  for (const PersistKind kind : kinds) {
    if (name == to_string(kind)) return kind;
  }
  return std::nullopt;
}

PersistKey key_of(const std::string& realm, const std::string& name) { return {realm, PersistKind::private_key, name}; }
PersistKey certificate_of(const std::string& realm, const std::string& name) {
  return {realm, PersistKind::certificate, name};
}

}  // namespace

std::string_view to_string(PersistKind kind) noexcept {
  switch (kind) {
    case PersistKind::account_key: return "account_key";
    case PersistKind::certificate: return "certificate";
    case PersistKind::private_key: return "private_key";
  }
  return "unknown";
}

std::string PersistKey::to_string() const {
  return storage_part(realm) + '/' + std::string(culmen::to_string(kind)) + '/' + storage_part(name);
}

PersistKey PersistKey::parse(std::string_view text) {
  const std::size_t first = text.find('/');
  const std::size_t second = first == std::string_view::npos ? first : text.find('/', first + 1);
  if (second != std::string_view::npos) {
    std::optional<std::string> realm = storage_part_text(text.substr(0, first));
    const std::optional<PersistKind> kind = kind_named(text.substr(first + 1, second - first - 1));
    std::optional<std::string> name = storage_part_text(text.substr(second + 1));
    if (realm && kind && name) return {std::move(*realm), *kind, std::move(*name)};
  }
  throw Error(Errc::invalid_argument, "reading a persistence key",
              "\"" + printable(text, 100) + "\" is not a persistence key; expected realm/kind/name");
}

std::string Persist::put_if_absent(const PersistKey& key, std::string_view value) {
  std::optional<std::string> stored = get(key);
  if (stored && !stored->empty()) return std::move(*stored);
  put(key, value);
  return std::string(value);
}

void Persist::erase(const PersistKey& key) {
  const std::optional<std::string> stored = get(key);
  if (stored && !stored->empty()) put(key, "");
}

void Persist::put_certificate(const std::string& realm, const std::string& name, const PersistedCertificate& stored) {
  put(key_of(realm, name), stored.private_key);
  put(certificate_of(realm, name), stored.certificate);
}

std::optional<PersistedCertificate> Persist::get_certificate(const std::string& realm, const std::string& name) {
  std::optional<std::string> certificate = get(certificate_of(realm, name));
  std::optional<std::string> private_key = get(key_of(realm, name));
  if (!certificate || !private_key) return std::nullopt;
  return PersistedCertificate(std::move(*private_key), std::move(*certificate));
}

// ---- MemoryPersist ----

struct MemoryPersist::Contents {
  std::mutex mutex;
  std::map<PersistKey, std::string> values;
};

MemoryPersist::MemoryPersist() : contents_(std::make_shared<Contents>()) {}

void MemoryPersist::put(const PersistKey& key, std::string_view value) {
  const std::lock_guard lock(contents_->mutex);
  contents_->values.insert_or_assign(key, std::string(value));
}

std::optional<std::string> MemoryPersist::get(const PersistKey& key) {
  const std::lock_guard lock(contents_->mutex);
  const auto found = contents_->values.find(key);
  if (found == contents_->values.end()) return std::nullopt;
  return found->second;
}

std::string MemoryPersist::put_if_absent(const PersistKey& key, std::string_view value) {
  const std::lock_guard lock(contents_->mutex);
  std::string& stored = contents_->values[key];
  if (stored.empty()) stored = value;
  return stored;
}

void MemoryPersist::erase(const PersistKey& key) {
  const std::lock_guard lock(contents_->mutex);
  contents_->values.erase(key);
}

void MemoryPersist::put_certificate(const std::string& realm, const std::string& name,
                                    const PersistedCertificate& stored) {
  PersistedCertificate fresh = stored;
  const std::lock_guard lock(contents_->mutex);
  std::string& private_key = contents_->values[key_of(realm, name)];
  std::string& certificate = contents_->values[certificate_of(realm, name)];
  private_key.swap(fresh.private_key);
  certificate.swap(fresh.certificate);
}

std::optional<PersistedCertificate> MemoryPersist::get_certificate(const std::string& realm, const std::string& name) {
  const std::lock_guard lock(contents_->mutex);
  const auto private_key = contents_->values.find(key_of(realm, name));
  const auto certificate = contents_->values.find(certificate_of(realm, name));
  if (private_key == contents_->values.end() || certificate == contents_->values.end()) return std::nullopt;
  return PersistedCertificate(private_key->second, certificate->second);
}

// ---- NoPersist ----

void NoPersist::put(const PersistKey&, std::string_view) {}
std::optional<std::string> NoPersist::get(const PersistKey&) { return std::nullopt; }

}  // namespace culmen
