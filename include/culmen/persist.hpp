// Where keys and certificates are kept between runs: in files, in memory, nowhere, or in a store of your own.
#pragma once

#include <compare>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace culmen {

enum class PersistKind { account_key, certificate, private_key };
/// "account_key", "certificate" or "private_key".
std::string_view to_string(PersistKind kind) noexcept;

/// What a value is kept under: whose it is, what it is, and which. A plain value; any text will do for realm and name.
struct PersistKey {
  PersistKey(std::string realm_, PersistKind kind_, std::string name_)
      : realm(std::move(realm_)), kind(kind_), name(std::move(name_)) {}

  /// "ops@example.com/certificate/example.com". Different keys have different texts, also where upper and lower case
  /// are the same; the text never changes between versions and machines. The three parts are fit for file names.
  std::string to_string() const;
  /// The key that has that text. Throws Error (invalid_argument) when there is none.
  static PersistKey parse(std::string_view text);

  auto operator<=>(const PersistKey&) const = default;

  std::string realm;
  PersistKind kind;
  std::string name;
};

/// A certificate and the key that belongs to it, as PEM.
struct StoredCertificate {
  StoredCertificate() = default;
  StoredCertificate(std::string private_key_, std::string certificate_)
      : private_key(std::move(private_key_)), certificate(std::move(certificate_)) {}
  bool operator==(const StoredCertificate&) const = default;

  std::string private_key;
  std::string certificate;  ///< The chain, leaf first.
};

/// A store. For one of your own write put() and get(); both are called from any thread that uses culmen with it, and
/// copies must be the same store. What they throw reaches the caller; a store that cannot be read is never an empty
/// one.
class Persist {
 public:
  virtual ~Persist() = default;

  /// Keeps `value`, whatever octets it has; replaces what was there. Once it returns the value is safe.
  virtual void put(const PersistKey& key, std::string_view value) = 0;
  /// What is kept under `key`; nullopt only when there is certainly none.
  virtual std::optional<std::string> get(const PersistKey& key) = 0;

  /// Keeps a certificate and its key, under the two keys they have. A store that can change both at once should: this
  /// one puts the key first, and then the certificate, so that no certificate is ever there without a key.
  virtual void put_certificate(const std::string& realm, const std::string& name, const StoredCertificate& stored);
  /// Both; nullopt unless both are there.
  virtual std::optional<StoredCertificate> get_certificate(const std::string& realm, const std::string& name);
};

/// Files below a folder; docs/persistence.md shows which. All have mode 0600, and are replaced whole. A certificate and
/// its key are in one file: put_certificate() changes both or none, whenever the process ends. Several threads and
/// processes may use one folder.
class FilePersist final : public Persist {
 public:
  /// The folder must be there whenever the store is used: one that is missing may just not be mounted, and is an error.
  explicit FilePersist(std::filesystem::path folder);

  void put(const PersistKey& key, std::string_view value) override;
  std::optional<std::string> get(const PersistKey& key) override;
  void put_certificate(const std::string& realm, const std::string& name, const StoredCertificate& stored) override;
  std::optional<StoredCertificate> get_certificate(const std::string& realm, const std::string& name) override;

  /// The file that holds the value of `key`, whether it is there or not.
  std::filesystem::path file_of(const PersistKey& key) const;

 private:
  std::filesystem::path folder_;
};

/// Keeps everything until the last copy goes.
class MemoryPersist final : public Persist {
 public:
  MemoryPersist();

  void put(const PersistKey& key, std::string_view value) override;
  std::optional<std::string> get(const PersistKey& key) override;
  void put_certificate(const std::string& realm, const std::string& name, const StoredCertificate& stored) override;
  std::optional<StoredCertificate> get_certificate(const std::string& realm, const std::string& name) override;

 private:
  struct Contents;
  std::shared_ptr<Contents> contents_;
};

/// Keeps nothing: for programs that look after keys and certificates themselves.
class NoPersist final : public Persist {
 public:
  void put(const PersistKey& key, std::string_view value) override;
  std::optional<std::string> get(const PersistKey& key) override;
};

}  // namespace culmen
