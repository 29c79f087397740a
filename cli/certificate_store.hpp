// Where a certificate lives on disk: whole generations, and one link that says which of them counts.
//
//   certificates/<name>/live -> 2        switched in one step: key and chain change together or not at all
//   certificates/<name>/1, 2, …          key.pem (0600), fullchain.pem, cert.pem, chain.pem, meta.json
//   certificates/<name>/pending/         an issuance in progress: order.json, and key.pem before finalize leaves
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"
#include "files.hpp"
#include "json_object.hpp"

namespace culmen::cli {

/// A certificate on disk.
struct StoredCertificate {
  StoredCertificate() = default;
  std::filesystem::path folder;  ///< Through the `live` link.
  std::string fullchain;
  Certificate leaf;
  std::optional<PrivateKey> key;
  JsonObject meta;
  std::string damage;  ///< Why it is of no use; empty: it is fine.
};

/// An issuance that did not come to its end.
struct PendingIssuance {
  PendingIssuance() = default;
  JsonObject order;  ///< url, server, account, names, key_type.
  std::optional<PrivateKey> key;
};

class CertificateFolder {
 public:
  /// Makes the folder. `name` is checked: one path component, nothing special.
  CertificateFolder(const std::filesystem::path& state, const std::string& name);
  /// The same for reading; nullopt when there is no such certificate.
  static std::optional<CertificateFolder> find(const std::filesystem::path& state, const std::string& name);

  /// All there are, in the order of their names.
  static std::vector<CertificateFolder> all(const std::filesystem::path& state);

  /// "*.example.com" is kept in "_wildcard.example.com".
  static std::string name_for(const Identifier& first);

  const std::string& name() const noexcept { return name_; }
  const std::filesystem::path& path() const noexcept { return folder_; }
  std::filesystem::path live_path() const { return folder_ / "live"; }
  FolderLock lock() const;

  /// The certificate that counts; nullopt when there is none yet.
  std::optional<StoredCertificate> live() const;
  /// Makes a new generation and switches to it; the one before is kept, older ones go. `leaf` is the chain's first, and
  /// belongs to `key`. Throws Error (io_failed).
  StoredCertificate install(const std::string& chain_pem, const Certificate& leaf, const PrivateKey& key,
                            const JsonObject& meta) const;
  /// Writes a member of meta.json anew.
  void mark(const std::string& member, const std::string& value) const;

  std::optional<PendingIssuance> pending() const;
  void keep_order(const JsonObject& order) const;
  void keep_key(const PrivateKey& key) const;
  void drop_pending() const;

 private:
  CertificateFolder(std::filesystem::path folder, std::string name, int);
  std::filesystem::path folder_;
  std::string name_;
};

}  // namespace culmen::cli
