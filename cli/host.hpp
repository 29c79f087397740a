// This host: the storage of certificates, and the state folder with what is the host's own.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culmen/blocking/storage.hpp"
#include "culmen/manager_options.hpp"
#include "culmen/process_lock.hpp"
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

/// A certificate that gets another name, or is removed. A plain value.
struct NameChange {
  NameChange() = default;
  std::string from;
  std::string to;  ///< Empty: it is removed.
  bool concerns(const std::string& id) const { return id == from || (!to.empty() && id == to); }
};
/// What was to be done, for messages.
std::string doing_text(const NameChange& change);

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
  /// Warns if every user of this machine can read that key, which is not kept in the state folder.
  void warn_of_readable_key(const std::string& key_file) const;
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
  /// Throws Failure if there is none, exit_failed if this host has settings for it, else exit_usage: with the nearest
  /// name, or with all names for what must not be done to another one.
  culmen::StoredCertificate certificate(const std::string& id, Guess guess = Guess::nearest) const;

  /// What is wanted, and what this host does about it; nullopt: this host was never told. With files, settings of the
  /// release before are read from meta.json.
  std::optional<Settings> settings(const culmen::StoredCertificate& certificate) const;
  /// Records that the certificate is wanted, unless there is one: what is not finished here, `renew` finishes.
  void want(const std::string& id, const CertificateSpec& spec) const;
  /// The same for a command that tells this host. If it was never told: what is wanted, and for this host the defaults.
  Settings settings_to_change(const culmen::StoredCertificate& certificate) const;
  /// Those of the certificate called `name`, or, if that is empty, of the one that is called after the first of
  /// `names`; nullopt: there is none. Throws Failure (exit_usage) if there is none called `name`.
  std::optional<Settings> settings_of(const std::string& name, const std::vector<std::string>& names) const;
  bool has_settings(const std::string& id) const;
  std::vector<std::string> ids_with_settings() const;
  /// Those that this host has settings for, and that are neither in storage nor about to be removed.
  std::vector<std::string> lost_ids(const std::vector<culmen::StoredCertificate>& certificates) const;
  /// What happened to one of them, and what to do.
  std::string lost_text(const std::string& id) const;
  /// Throws Failure (exit_failed) if culmen has never stored anything in its folder: a disk may not be mounted.
  void check_used() const;
  void keep_settings(const std::string& id, const HostSettings& settings) const;

  /// With a database: writes the files that servers of this host read. Throws Error.
  void keep_files(const InstalledCertificate& certificate) const;

  /// Only one program of this host at a time changes names and settings, or makes a new certificate known: what another
  /// one has begun is then done, or it was stopped; and two edits at once both count. Throws Error (held) if that takes
  /// too long.
  ProcessLock lock_changes(std::chrono::seconds patience) const;
  /// Changes the storage, and what this host has of the certificate beside it: settings, and with a database its files.
  /// local/begun/ says what is being done until it is done: if the program is stopped, finish_changes() goes on.
  void rename(const std::string& from, const std::string& to) const;
  /// Returns where in storage its keys are now. Also if only this host has something of it.
  std::vector<std::string> remove(const std::string& id) const;
  /// What was begun, and is not done.
  std::vector<NameChange> begun_changes() const;
  /// Does the rest of one of them; false if it is done meanwhile. `patience`: how long to wait for another program that
  /// is at it.
  bool finish_change(const NameChange& change, std::chrono::seconds patience) const;

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
  std::filesystem::path begun_file(const std::string& id) const;
  std::vector<std::string> carry_out(const NameChange& change, const LeaseOptions& lease) const;
  void rename_own(const NameChange& change, const LeaseOptions& lease) const;
  void drop_own(const std::string& id, const LeaseOptions& lease) const;

  bool is_lost(const std::string& id) const;

  std::filesystem::path folder_;
  std::string url_;
  bool keeps_files_ = true;
  Output& output_;
  std::shared_ptr<culmen::Storage> storage_;
  blocking::Storage blocking_;
  std::shared_ptr<culmen::Storage> files_;  ///< For servers of this host; nullptr if the storage keeps files itself.
};

/// The one that counts, which must be there.
InstalledCertificate installed_from(const culmen::StoredCertificate& certificate);

/// Finishes what was begun, says so, and returns why what is left could not be finished. Those of `kept_apart` are
/// about to be removed: none of them takes the place of another one.
std::vector<std::pair<NameChange, Error>> finish_begun(const Host& host, std::chrono::seconds patience, Output& output,
                                                       const std::vector<std::string>& kept_apart = {});
/// For a command that works on that certificate. Throws what keeps it from being finished; what concerns others is a
/// warning.
void require_finished(const Host& host, const std::string& id, Output& output);

/// Throws Failure (exit_usage) if one of these outputs is a file of another certificate, is in the state folder, or, if
/// it was not an output before, is a file with something else than PEM.
void check_outputs_beside_others(const Host& host, const std::string& id, const HostSettings& settings);

/// Returns the id. Throws Failure (exit_usage) if it cannot be the name of a folder.
std::string checked_id(const std::string& id);

/// What culmen calls itself in leases: host and process.
std::string lease_owner();

}  // namespace culmen::cli
