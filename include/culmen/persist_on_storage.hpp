// Keys and certificates of the persistence API in a storage.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culmen/blocking/storage.hpp"
#include "culmen/persist.hpp"

namespace culmen {

/// A Persist that keeps its values in a Storage, so that programs with a Persist can use any engine. A value has the
/// key "realms/<realm>/<kind>/<name>" (see PersistKey::to_string()), which may have at most 512 octets. A certificate
/// and its private key are one value: put_certificate() changes both or none, with every engine.
///
/// Functions block, and throw the errors of the storage. Copies use the same storage. Thread-safe; several processes
/// may use one storage.
class PersistOnStorage final : public Persist {
 public:
  explicit PersistOnStorage(blocking::Storage storage);

  void put(const PersistKey& key, std::string_view value) override;
  std::optional<std::string> get(const PersistKey& key) override;
  std::string put_if_absent(const PersistKey& key, std::string_view value) override;
  void erase(const PersistKey& key) override;
  void put_certificate(const std::string& realm, const std::string& name, const PersistedCertificate& stored) override;
  std::optional<PersistedCertificate> get_certificate(const std::string& realm, const std::string& name) override;

 private:
  blocking::Storage storage_;
};

}  // namespace culmen
