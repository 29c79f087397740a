// This host: the storage of certificates, and the state folder with what is the host's own.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/blocking/storage.hpp"
#include "culmen/manager_options.hpp"
#include "culmen/stored_certificates.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// Which storage, and which folder. A plain value.
struct StateFlags {
  StateFlags() = default;
  std::string dir;      ///< The state folder; empty: the default.
  std::string storage;  ///< "file:/path", "postgresql://…"; empty: what `culmen storage init` said, or files in the
                        ///< state folder.
};
void add_state_flags(const Command& command, StateFlags& flags);

class Host {
 public:
  enum class Access { read, write, if_there };
  /// Opens the storage. With `read` nothing is made, and a state folder that does not exist is an error that says so
  /// (Failure, exit_failed): it may just not be mounted. With `write` it is made; with `if_there` it counts as empty.
  Host(const StateFlags& flags, Access access, Output& output);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  const std::string& storage_url() const noexcept { return url_; }
  bool keeps_files() const noexcept { return keeps_files_; }
  const std::shared_ptr<culmen::Storage>& storage() const noexcept { return storage_; }
  /// The account of `key_file` in place of the storage's; otherwise the storage as it is.
  std::shared_ptr<culmen::Storage> storage_with_account(const std::string& key_file) const;
  LeaseOptions lease() const;
  /// Runs a flow on this thread. Ctrl-C cancels it.
  template <class T>
  T run(Flow<Result<T>> flow) const {
    return blocking_.run<T>(std::move(flow));
  }

  std::vector<culmen::StoredCertificate> certificates() const { return run(list_certificates(storage_)); }
  enum class Guess { nearest, none };
  /// Throws Failure (exit_usage) if there is none: with the nearest name, or with all names for what must not be done
  /// to another one.
  culmen::StoredCertificate certificate(const std::string& id, Guess guess = Guess::nearest) const;

  /// What is wanted, and what this host does about it; nullopt: this host was never told. With files, settings of the
  /// release before are read from meta.json.
  std::optional<Settings> settings(const culmen::StoredCertificate& certificate) const;
  /// Records that the certificate is wanted, unless there is one: what is not finished here, `renew` finishes.
  void want(const std::string& id, const CertificateSpec& spec) const;
  /// The same for a command that tells this host. If it was never told: what is wanted, and for this host the defaults.
  Settings settings_to_change(const culmen::StoredCertificate& certificate) const;
  bool has_settings(const std::string& id) const;
  std::vector<std::string> ids_with_settings() const;
  void keep_settings(const std::string& id, const HostSettings& settings) const;

  /// With a database: writes the files that servers of this host read. Throws Error.
  void keep_files(const InstalledCertificate& certificate) const;
  /// What this host has of a certificate beside the storage: its settings, and with a database its files.
  void rename_own(const std::string& from, const std::string& to) const;
  void drop_own(const std::string& id) const;

  /// Where certificates are kept, for messages: a folder, or a URL without its password.
  std::string place() const;
  /// The folder with the files of the certificate that counts, for messages and web servers.
  std::filesystem::path live_folder(const std::string& id) const;
  /// Where the key of the account at that CA is, for messages: a file, or a key of the storage.
  std::string account_key_file(const std::string& directory_url) const;
  /// Where a key below keys/unused/ is: a file, or the key of the storage.
  std::string place_of_key(const std::string& key) const;
  /// The folder for what is this host's own.
  std::filesystem::path local_folder() const { return folder_ / "local"; }

 private:
  std::filesystem::path folder_;
  std::string url_;
  bool keeps_files_ = true;
  std::shared_ptr<culmen::Storage> storage_;
  blocking::Storage blocking_;
  std::shared_ptr<culmen::Storage> files_;  ///< For servers of this host; nullptr if the storage keeps files itself.
};

/// Returns the id. Throws Failure (exit_usage) if it cannot be the name of a folder.
std::string checked_id(const std::string& id);

/// What culmen calls itself in leases: host and process.
std::string lease_owner();

}  // namespace culmen::cli
