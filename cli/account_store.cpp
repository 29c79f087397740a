#include "account_store.hpp"

#include <system_error>

#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

std::optional<AccountKey> read_key(const fs::path& path) {
  const auto pem = read_file(path);
  if (!pem) return std::nullopt;
  try {
    return AccountKey::from_pem(*pem);
  } catch (const Error& error) {
    throw error.while_doing("reading the account key " + path.string());
  }
}

std::string host_of(std::string_view url) {
  const auto start = url.find("://");
  if (start == std::string_view::npos) return {};
  url.remove_prefix(start + 3);
  return std::string(url.substr(0, url.find('/')));
}

// A rollover that was cut short leaves two keys; only the CA knows which of them counts.
AccountKey settle_rollover(blocking::AcmeClient& client, const AccountFiles& files, AccountKey key, Output& output) {
  const auto next = files.next_key();
  if (!next) return key;
  output.say("An earlier key rollover did not come to its end: asking the CA which key counts");
  try {
    const Account account = client.find_account(*next);
    const std::string url = files.url(client.directory());
    if (url.empty() || url == account.url) {
      files.take_next_key();
      files.keep_account(account);
      output.say("The new key counts");
      return *next;
    }
  } catch (const Error& error) {
    if (error.code() != Errc::account_does_not_exist) throw;
  }
  files.drop_next_key();
  output.say("The old key counts");
  return key;
}

void require_terms(const Directory& directory, const AccountFlags& flags) {
  const std::string& terms = directory.meta.terms_of_service;
  if (terms.empty() || flags.agree_tos) return;
  throw Failure(exit_usage, "terms_of_service",
                "this CA asks you to agree to its terms of service: " + printable(terms),
                "Read them; if you agree, run the same command again with --agree-tos.");
}

void require_eab(const Directory& directory, const AccountFlags& flags) {
  if (!directory.meta.external_account_required || !flags.eab_kid.empty() || !flags.eab_key.empty()) return;
  const std::string host = host_of(directory.url);
  std::string where = "at the CA's web site";
  if (!directory.meta.website.empty()) where += " (" + printable(directory.meta.website) + ")";
  if (host.ends_with("zerossl.com")) where = "at https://app.zerossl.com/developer";
  if (host.ends_with("pki.goog")) {
    where = "with: gcloud publicca external-account-keys create (https://pki.goog/updates/may2023-signup.html)";
  }
  if (host.ends_with("ssl.com")) where = "at https://secure.ssl.com, under API credentials of your account";
  throw Failure(exit_usage, "external_account_required",
                "this CA binds ACME accounts to an account you have there, and wants a key for that",
                "Get a key id and a MAC key " + where + ", and give them with --eab-kid and --eab-key.");
}

Account with_url(std::string url, AccountKey key) { return Account(std::move(url), std::move(key)); }

}  // namespace

AccountFiles::AccountFiles(const ServerFlags& flags, const std::string& directory_url)
    : own_folder_(flags.account_key.empty()), directory_url_(directory_url) {
  if (!own_folder_) {
    key_path_ = fs::absolute(flags.account_key);
    record_path_ = key_path_.string() + ".account-url";
    return;
  }
  const fs::path root = state_folder(flags.dir);
  const fs::path folder = root / "accounts" / server_slug(directory_url);
  make_private_folder(root);
  make_private_folder(root / "accounts");
  make_private_folder(folder);
  key_path_ = folder / "account.key";
  record_path_ = folder / "account.json";
}

FolderLock AccountFiles::lock() const { return FolderLock(key_path_.parent_path(), "this account", 30); }

std::optional<AccountKey> AccountFiles::key() const { return read_key(key_path_); }

std::optional<AccountKey> AccountFiles::next_key() const { return read_key(next_key_path()); }

std::string AccountFiles::url(const Directory& directory) const {
  std::string url;
  if (own_folder_) {
    if (const auto record = read_json(record_path_)) url = record->text("url");
  } else if (const auto text = read_file(record_path_)) {
    url = text->substr(0, text->find_first_of("\r\n"));
  }
  // A key file may be used with several servers; the URL beside it is good for one of them.
  return host_of(url) == host_of(directory.new_account) ? url : std::string();
}

void AccountFiles::keep_key(const AccountKey& key) const { write_file_atomically(key_path_, key.to_pem(), 0600); }

void AccountFiles::keep_next_key(const AccountKey& key) const {
  write_file_atomically(next_key_path(), key.to_pem(), 0600);
}

void AccountFiles::take_next_key() const { fs::rename(next_key_path(), key_path_); }

void AccountFiles::drop_next_key() const { fs::remove(next_key_path()); }

void AccountFiles::keep_account(const Account& account) const {
  if (!own_folder_) {
    write_file_atomically(record_path_, account.url + "\n", 0600);
    return;
  }
  JsonObject record;
  record.set("url", account.url);
  record.set("server", directory_url_);
  record.set("contacts", account.contacts);
  write_json(record_path_, record);
}

fs::path AccountFiles::retire() const {
  std::error_code ignored;
  fs::remove(record_path_, ignored);
  if (!own_folder_) return key_path_;
  const std::string now = time_text(std::chrono::system_clock::now());
  const fs::path retired = key_path_.parent_path() / ("deactivated-" + now + ".key");
  fs::rename(key_path_, retired);
  return retired;
}

Account known_account(blocking::AcmeClient& client, const AccountFiles& files, Output& output) {
  const auto on_disk = files.key();
  if (!on_disk) {
    throw Failure(exit_failed, "account_does_not_exist",
                  "there is no account key for this server (looked for " + files.key_path().string() + ")",
                  "Make an account with: culmen account register, or name its key with --account-key FILE.");
  }
  AccountKey key = settle_rollover(client, files, *on_disk, output);
  std::string url = files.url(client.directory());
  if (!url.empty()) return with_url(std::move(url), std::move(key));
  Account account = client.find_account(key);
  files.keep_account(account);
  return account;
}

Account known_or_new_account(blocking::AcmeClient& client, const AccountFiles& files, const AccountFlags& flags,
                             Output& output) {
  const FolderLock lock = files.lock();
  if (const auto on_disk = files.key()) {
    AccountKey key = settle_rollover(client, files, *on_disk, output);
    std::string url = files.url(client.directory());
    if (!url.empty()) return with_url(std::move(url), std::move(key));
  }
  Account account = register_account(client, files, flags, output);
  output.say((account.created ? "Made an account: " : "Found the account: ") + printable(account.url));
  return account;
}

Account register_account(blocking::AcmeClient& client, const AccountFiles& files, const AccountFlags& flags,
                         Output& output) {
  auto key = files.key();
  if (key) key = settle_rollover(client, files, *key, output);
  const bool eab_missing = client.directory().meta.external_account_required && flags.eab_kid.empty();
  if (key && (!flags.agree_tos || eab_missing)) {
    // The key may have an account already: then there is nothing to agree to or to bind.
    try {
      Account account = client.find_account(*key);
      files.keep_account(account);
      return account;
    } catch (const Error& error) {
      if (error.code() != Errc::account_does_not_exist) throw;
    }
  }
  require_terms(client.directory(), flags);
  require_eab(client.directory(), flags);
  AccountOptions options;
  options.contacts = contact_urls(flags.contacts);
  options.agree_tos = flags.agree_tos;
  options.eab = eab_of(flags);
  if (!key) {
    key = AccountKey::generate(flags.key_type);
    files.keep_key(*key);
  }
  Account account = client.new_account(*key, options);
  if (account.contacts.empty()) account.contacts = options.contacts;
  files.keep_account(account);
  return account;
}

}  // namespace culmen::cli
