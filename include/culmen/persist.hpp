// Stores for keys and certificates: files, memory, none, or a custom store.
#pragma once

#include <compare>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace culmen {

/// What a stored value is.
enum class PersistKind { account_key, certificate, private_key };
/// "account_key", "certificate" or "private_key".
std::string_view to_string(PersistKind kind) noexcept;

/// The key of a stored value: realm (usually an account), kind and name. A plain value; realm and name may be any text.
struct PersistKey {
  PersistKey(std::string realm_, PersistKind kind_, std::string name_)
      : realm(std::move(realm_)), kind(kind_), name(std::move(name_)) {}

  /// Such as "ops@example.com/certificate/example.com". Different keys have different texts, even if case is ignored.
  /// The text is the same in all versions and on all machines. Each of the three parts is a valid file name.
  std::string to_string() const;
  /// The key with that text. Throws Error (invalid_argument) if it is not the text of a key.
  static PersistKey parse(std::string_view text);

  auto operator<=>(const PersistKey&) const = default;

  std::string realm;
  PersistKind kind;
  std::string name;
};

/// A certificate chain and its private key, as PEM. A plain value.
struct PersistedCertificate {
  PersistedCertificate() = default;
  PersistedCertificate(std::string private_key_, std::string certificate_)
      : private_key(std::move(private_key_)), certificate(std::move(certificate_)) {}
  bool operator==(const PersistedCertificate&) const = default;

  std::string private_key;
  std::string certificate;  ///< The chain, leaf first.
};

/// A store. A custom store implements put() and get(). They are called on the thread that calls culmen, on several at
/// once if the program does so. Copies must refer to the same store. Exceptions reach the caller: report a store that
/// cannot be read by an exception, never as empty.
class Persist {
 public:
  virtual ~Persist() = default;

  /// Stores `value`, which may contain any octets; replaces the previous value. The value must be durable on return.
  virtual void put(const PersistKey& key, std::string_view value) = 0;
  /// The value stored under `key`; nullopt only if there is certainly none.
  virtual std::optional<std::string> get(const PersistKey& key) = 0;
  /// Stores `value` if there is none, or an empty one, and returns what is stored then. Override it if the store can do
  /// both in one step, so that programs that start at the same time agree on one key: this implementation gets, then
  /// puts.
  virtual std::string put_if_absent(const PersistKey& key, std::string_view value);
  /// Removes the value, if there is one. This implementation stores an empty value in its place, if there is one.
  virtual void erase(const PersistKey& key);

  /// Stores a certificate and its private key. Override it if the store can change both atomically: this implementation
  /// puts the private key first, then the certificate, so that there is never a certificate without a key.
  virtual void put_certificate(const std::string& realm, const std::string& name, const PersistedCertificate& stored);
  /// Certificate and private key; nullopt unless both exist.
  virtual std::optional<PersistedCertificate> get_certificate(const std::string& realm, const std::string& name);
};

/// Files below a folder; see docs/persistence.md. All have mode 0600 and are replaced atomically. A certificate and its
/// key are in one file: put_certificate() changes both or none, even if the process is killed.
///
/// Thread-safe; several processes may use one folder. Functions block, and throw Error (io_failed): a file that cannot
/// be read or was damaged, or a writer that holds the lock for more than 30 seconds.
class FilePersist final : public Persist {
 public:
  /// The folder must exist when the store is used: a missing folder is an error, because it may just not be mounted.
  /// Throws Error (invalid_argument) if the path is empty.
  explicit FilePersist(std::filesystem::path folder);

  void put(const PersistKey& key, std::string_view value) override;
  std::optional<std::string> get(const PersistKey& key) override;
  std::string put_if_absent(const PersistKey& key, std::string_view value) override;
  void erase(const PersistKey& key) override;
  void put_certificate(const std::string& realm, const std::string& name, const PersistedCertificate& stored) override;
  std::optional<PersistedCertificate> get_certificate(const std::string& realm, const std::string& name) override;

  /// The file for the value of `key`, whether it exists or not.
  std::filesystem::path file_of(const PersistKey& key) const;

 private:
  std::filesystem::path folder_;
};

/// Stores everything in memory, until the last copy is destroyed. Moving copies. Thread-safe. Never throws an Error.
class MemoryPersist final : public Persist {
 public:
  MemoryPersist();
  MemoryPersist(const MemoryPersist&) = default;
  MemoryPersist& operator=(const MemoryPersist&) = default;
  ~MemoryPersist() override = default;

  void put(const PersistKey& key, std::string_view value) override;
  std::optional<std::string> get(const PersistKey& key) override;
  std::string put_if_absent(const PersistKey& key, std::string_view value) override;
  void erase(const PersistKey& key) override;
  void put_certificate(const std::string& realm, const std::string& name, const PersistedCertificate& stored) override;
  std::optional<PersistedCertificate> get_certificate(const std::string& realm, const std::string& name) override;

 private:
  struct Contents;
  std::shared_ptr<Contents> contents_;
};

/// Stores nothing, for programs that store keys and certificates themselves. Thread-safe. Never throws.
class NoPersist final : public Persist {
 public:
  void put(const PersistKey& key, std::string_view value) override;
  std::optional<std::string> get(const PersistKey& key) override;
};

}  // namespace culmen
