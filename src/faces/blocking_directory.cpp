#include "culmen/blocking/directory.hpp"

#include <algorithm>

#include "engine/retry.hpp"

namespace culmen::blocking {

namespace {

constexpr const char* account_name = "account";
constexpr const char* pending_account_name = "account/pending";

PersistKey account_key_name(const std::string& realm) { return {realm, PersistKind::account_key, account_name}; }
PersistKey pending_key_name(const std::string& realm) {
  return {realm, PersistKind::account_key, pending_account_name};
}

/// The stored key; otherwise the key of an attempt that was interrupted; otherwise a new key, which is stored before it
/// is used. If it were stored only after the CA's response, each lost response would leave an account without a key,
/// and accounts count against a rate limit. A new key is stored under a separate name, because it is not the account's
/// key until the CA accepts it. Programs that start at the same time use the key that was stored first: for the CA that
/// is one account.
AccountKey account_key(Persist& persist, const std::string& realm, bool& established) {
  const PersistKey name = account_key_name(realm);
  std::optional<std::string> kept = persist.get(name);
  established = kept.has_value();
  if (kept) return AccountKey::from_pem(*kept);
  const std::string begun = persist.put_if_absent(pending_key_name(realm), AccountKey::generate().to_pem());
  // Another program may have finished meanwhile, and erased the key that it began with.
  kept = persist.get(name);
  return AccountKey::from_pem(kept ? *kept : begun);
}

}  // namespace

DirectoryHandle::DirectoryHandle(AcmeClient client, std::shared_ptr<Persist> persist)
    : client_(std::move(client)), persist_(std::move(persist)) {}

DirectoryHandle DirectoryHandle::from_url(std::shared_ptr<Persist> persist, DirectoryUrl url, ClientOptions options,
                                          CancelToken cancel) {
  if (!persist) {
    throw Error(Errc::invalid_argument, "fetching the directory",
                "there is no store; pass a NoPersist to store nothing");
  }
  options.session.nonce_retries = std::max(options.session.nonce_retries, engine::min_issue_nonce_retries);
  return DirectoryHandle(AcmeClient(url.str(), std::move(options), std::move(cancel)), std::move(persist));
}

AccountHandle DirectoryHandle::account(const std::string& email, CancelToken cancel) const {
  if (email.find('@') == std::string::npos) {
    throw Error(Errc::invalid_argument, "establishing an account",
                "\"" + printable(email, 100) +
                    "\" is not an e-mail address; for an account without one, or with other " +
                    "contacts, use account_with_realm()");
  }
  return account_with_realm(email, std::vector<std::string>(1, "mailto:" + email), std::nullopt, std::move(cancel));
}

AccountHandle DirectoryHandle::account_with_realm(const std::string& realm, std::vector<std::string> contacts,
                                                  std::optional<EabOptions> eab, CancelToken cancel) const {
  AccountOptions options;
  options.contacts = std::move(contacts);
  options.agree_tos = true;
  options.eab = std::move(eab);
  bool established = false;
  const AccountKey key = account_key(*persist_, realm, established);
  AccountHandle account = account_with_key(realm, key, std::move(options), std::move(cancel));
  if (!established) {
    persist_->put(account_key_name(realm), key.to_pem());
    persist_->erase(pending_key_name(realm));
  }
  return account;
}

AccountHandle DirectoryHandle::account_with_key(const std::string& realm, AccountKey key, AccountOptions options,
                                                CancelToken cancel) const {
  Account account = client_.new_account(std::move(key), std::move(options), std::move(cancel));
  return AccountHandle(client_, persist_, realm, std::move(account));
}

}  // namespace culmen::blocking
