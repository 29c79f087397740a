// Where an account lives on disk, and how a command comes by one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "client_options.hpp"
#include "culmen/account.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "files.hpp"

namespace culmen::cli {

class Output;

/// The files of one account: in the state folder (account.key, account.json), or beside a key file the user named
/// (FILE, FILE.account-url).
class AccountFiles {
 public:
  AccountFiles(const ServerFlags& flags, const std::string& directory_url);

  const std::filesystem::path& key_path() const noexcept { return key_path_; }
  /// Keeps other runs of culmen from making or changing this account at the same time.
  FolderLock lock() const;

  std::optional<AccountKey> key() const;
  /// The key of a rollover that did not come to its end.
  std::optional<AccountKey> next_key() const;
  /// The account's URL at that server; empty when not known.
  std::string url(const Directory& directory) const;

  void keep_key(const AccountKey& key) const;
  void keep_next_key(const AccountKey& key) const;
  /// Makes the next key the key.
  void take_next_key() const;
  void drop_next_key() const;
  void keep_account(const Account& account) const;
  /// After deactivation: the next command starts with a new account. Returns where the old key is now.
  std::filesystem::path retire() const;

 private:
  std::filesystem::path next_key_path() const { return key_path_.string() + ".new"; }

  bool own_folder_;  // in the state folder, not named by --account-key
  std::string directory_url_;
  std::filesystem::path key_path_;
  std::filesystem::path record_path_;
};

/// The account of an earlier run. Throws Failure when there is none.
Account known_account(blocking::AcmeClient& client, const AccountFiles& files, Output& output);

/// The account of an earlier run, or a new one: its key is on disk before the CA hears of it.
Account known_or_new_account(blocking::AcmeClient& client, const AccountFiles& files, const AccountFlags& flags,
                             Output& output);

/// newAccount with the key on disk, or a new one; finds the account when the key has one.
Account register_account(blocking::AcmeClient& client, const AccountFiles& files, const AccountFlags& flags,
                         Output& output);

}  // namespace culmen::cli
