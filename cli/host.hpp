// This host: the storage of certificates, and the state folder with what is the host's own.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/blocking/storage.hpp"
#include "culmen/stored_certificates.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// Which storage, and which folder. A plain value.
struct StateFlags {
  StateFlags() = default;
  std::string dir;      ///< The state folder; empty: the default.
  std::string storage;  ///< "file:/path", "postgresql://…"; empty: files in the state folder.
};
void add_state_flags(Command& command, StateFlags& flags);

class Host {
 public:
  enum class Access { read, write };
  /// Opens the storage. With `read` nothing is made, and a state folder that does not exist is an error that says so
  /// (Failure, exit_failed): it may just not be mounted. With `write` it is made.
  Host(const StateFlags& flags, Access access, Output& output);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  const std::shared_ptr<Storage>& storage() const noexcept { return storage_; }
  /// Runs flows on this thread; cancelled by Ctrl-C.
  const blocking::Storage& blocking() const noexcept { return blocking_; }
  LeaseOptions lease() const;
  /// The account of `key_file` in place of the storage's; otherwise the storage as it is.
  std::shared_ptr<Storage> storage_with_account(const std::string& key_file) const;

  std::vector<StoredCertificate> certificates() const;
  /// Throws Failure (exit_usage) with the nearest names if there is none.
  StoredCertificate certificate(const std::string& id) const;

  /// What this host does about the certificate; nullopt: nothing was ever said here. For state folders of the release
  /// before: from meta.json, if the storage is files.
  std::optional<Settings> settings(const StoredCertificate& certificate) const;
  void keep_settings(const std::string& id, const HostSettings& settings) const;
  void rename_settings(const std::string& from, const std::string& to) const;
  void drop_settings(const std::string& id) const;

  /// The folder with the files of the certificate that counts, for messages and web servers.
  std::filesystem::path live_folder(const std::string& id) const;

 private:
  std::filesystem::path folder_;
  std::shared_ptr<Storage> storage_;
  blocking::Storage blocking_;
};

}  // namespace culmen::cli
