// The account at a CA: made once for all processes that share a storage, and never lost.
#include <algorithm>
#include <utility>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/time.hpp"
#include "culmen/engine.hpp"
#include "manager/cas.hpp"

namespace culmen::manager {

namespace {
constexpr int lease_tries = 30;  // a second apart: an account is made in less
constexpr std::chrono::seconds lease_pause(1);

/// An account that can be used as it is.
bool is_complete(const AccountRecord& record) {
  return !record.key_pem.empty() && !record.url.empty() && record.next_key_pem.empty();
}

Result<Account> account_of(const AccountRecord& record) {
  return result_of([&] { return Account(record.url, AccountKey::from_pem(record.key_pem)); });
}

Result<std::optional<AccountRecord>> read_account(const std::optional<StoredValue>& stored, const std::string& key) {
  if (!stored) return std::optional<AccountRecord>();
  Result<AccountRecord> record = decode_account(stored->value);
  if (!record) return record.error().while_doing("reading " + key);
  return std::optional(std::move(*record));
}

std::string mail_url(const std::string& contact) {
  return contact.find(':') == std::string::npos ? "mailto:" + contact : contact;
}

/// 20261127T203000Z.
std::string compact_time(planner::Time time) {
  std::string text = base::format_rfc3339(std::chrono::floor<std::chrono::seconds>(time));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}
}  // namespace

Flow<Result<void>> set_key_aside(Store& store, std::string key_pem) {
  const std::string doing = "keeping a key that could still be needed";
  Result<std::string> thumbprint = result_of([&] { return PrivateKey::from_pem(key_pem).thumbprint(); });
  if (!thumbprint) co_return thumbprint.error().while_doing(doing);
  const Instant instant = co_await now();
  const std::optional<Bytes> digest = base::base64url_decode(*thumbprint);
  Write write(unused_key_of(compact_time(instant.wall), digest ? base::hex_encode(*digest) : "00"), std::move(key_pem));
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Revision>> written = co_await store.write(std::move(writes), nullptr);
  if (!written) co_return written.error().while_doing(doing);
  co_return Result<void>();
}

Flow<Result<Account>> Cas::account(Ca& ca) {
  if (ca.account && !ca.account_is_gone) co_return *ca.account;
  Result<Turn::Held> turn = co_await ca.turn.enter();
  if (!turn) co_return turn.error();
  if (ca.account && !ca.account_is_gone) co_return *ca.account;
  Result<engine::Session> session = co_await connect(ca);
  if (!session) co_return session.error();
  Result<Account> account = co_await find_or_make_account(ca, *session);
  if (!account) co_return account.error().while_doing("preparing the account at " + ca.directory);
  ca.account = *account;
  ca.account_is_gone = false;
  co_return account;
}

Flow<Result<bool>> Cas::account_was_changed(Ca& ca, Account used) {
  const std::string key = account_key_of(ca.directory);
  std::vector<std::string> keys(1, key);
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
  if (!loaded) co_return loaded.error();
  Result<std::optional<AccountRecord>> record = read_account(loaded->front(), key);
  if (!record) co_return record.error();
  if (*record && is_complete(**record)) {
    Result<Account> stored = account_of(**record);
    if (!stored) co_return stored.error().while_doing("reading " + key);
    if (stored->url == used.url && stored->key.thumbprint() == used.key.thumbprint()) co_return false;
  }
  ca.account.reset();
  co_return true;
}

Flow<Result<Account>> Cas::find_or_make_account(Ca& ca, engine::Session session) {
  const std::string key = account_key_of(ca.directory);
  for (int tries = 0; tries < lease_tries; ++tries) {
    std::vector<std::string> keys(1, key);
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
    if (!loaded) co_return loaded.error();
    Result<std::optional<AccountRecord>> record = read_account(loaded->front(), key);
    if (!record) co_return record.error();
    if (*record && is_complete(**record) && !ca.account_is_gone) co_return account_of(**record);
    std::function<void()> on_lost;
    Result<std::shared_ptr<Hold>> hold = co_await store_.acquire(account_lease(ca.directory), std::move(on_lost));
    if (!hold) co_return hold.error();
    if (*hold) {
      Result<Account> account = co_await account_under_lease(ca, session, *hold);
      Result<void> released = co_await store_.release(*hold);
      co_return account;
    }
    // Another process makes it, most likely.
    Result<void> waited = co_await wait(lease_pause);
    if (!waited) co_return waited.error();
  }
  co_return Error(
      Errc::io_failed, "",
      "another process holds the lease " + account_lease(ca.directory) + " and does not finish the account");
}

Flow<Result<Account>> Cas::account_under_lease(Ca& ca, engine::Session session, std::shared_ptr<Hold> hold) {
  const std::string key = account_key_of(ca.directory);
  std::vector<std::string> keys(1, key);
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
  if (!loaded) co_return loaded.error();
  Revision revision = loaded->front() ? loaded->front()->revision : Revision();
  Result<std::optional<AccountRecord>> read = read_account(loaded->front(), key);
  if (!read) co_return read.error();
  AccountRecord record = *read ? **read : AccountRecord();
  if (*read && is_complete(record) && !ca.account_is_gone) co_return account_of(record);

  if (!record.next_key_pem.empty()) {
    Result<AccountRecord> settled = co_await settle_rollover(ca, session, record);
    if (!settled) co_return settled.error();
    record = std::move(*settled);
  } else {
    if (record.key_pem.empty()) {
      Result<AccountKey> made = result_of([&] { return AccountKey::generate(ca.options.account_key_type); });
      if (!made) co_return made.error();
      record.key_pem = made->to_pem();
      record.directory_url = ca.directory;
      // The key is stored before the CA hears of it. If the answer is lost, the same key finds the account.
      Write write(key, encode(record));
      write.expected = revision;
      std::vector<Write> writes;
      writes.push_back(std::move(write));
      Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), hold);
      if (!written) co_return written.error();
      revision = written->front();
    }
    Result<AccountKey> account_key = result_of([&] { return AccountKey::from_pem(record.key_pem); });
    if (!account_key) co_return account_key.error().while_doing("reading " + key);
    Result<AccountOptions> options = co_await account_options(ca, session);
    if (!options) co_return options.error();
    Result<Account> account = co_await engine::new_account(session, *account_key, *options);
    if (!account) co_return account.error();
    const Instant instant = co_await now();
    for (const std::string& warning : account->warnings) {
      ManagerEvent event = make_event(ManagerEvent::Kind::warning, instant.wall, warning);
      event.ca = ca.directory;
      reporter_.say(event);
    }
    record.url = account->url;
  }
  record.directory_url = ca.directory;
  Write write(key, encode(record));
  write.expected = revision;
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), hold);
  if (!written) co_return written.error();
  co_return account_of(record);
}

/// A rollover that was begun and did not end: the CA says which key counts. The other one is set aside.
Flow<Result<AccountRecord>> Cas::settle_rollover(Ca& ca, engine::Session session, AccountRecord record) {
  const std::string doing = "settling the key change of the account at " + ca.directory;
  const std::string candidates[] = {record.next_key_pem, record.key_pem};
  for (const std::string& pem : candidates) {
    Result<AccountKey> account_key = result_of([&] { return AccountKey::from_pem(pem); });
    if (!account_key) co_return account_key.error().while_doing(doing);
    Result<Account> account = co_await engine::find_account(session, *account_key);
    if (!account && account.error().code() == Errc::account_does_not_exist) continue;
    if (!account) co_return account.error().while_doing(doing);
    const std::string other = pem == record.key_pem ? record.next_key_pem : record.key_pem;
    Result<void> kept = co_await set_key_aside(store_, other);
    if (!kept) co_return kept.error().while_doing(doing);
    record.key_pem = pem;
    record.next_key_pem.clear();
    record.url = account->url;
    co_return record;
  }
  co_return Error(
      Errc::account_does_not_exist, doing,
      "the CA knows neither the old key nor the new one; both are in storage under " + account_key_of(ca.directory));
}

Flow<Result<AccountOptions>> Cas::account_options(Ca& ca, engine::Session session) {
  if (ca.options.account_options) {
    const auto given = std::make_shared<AccountOptions>();
    std::function<Result<void>()> ask = [given, make = ca.options.account_options,
                                         directory = session.directory()]() -> Result<void> {
      *given = make(directory);
      return {};
    };
    Result<void> asked = co_await call(std::move(ask));
    if (!asked) co_return asked.error();
    co_return *given;
  }
  AccountOptions options;
  options.contacts = ca.options.contacts;
  if (options.contacts.empty() && !options_.contact.empty()) options.contacts.push_back(options_.contact);
  for (std::string& contact : options.contacts) contact = mail_url(contact);
  options.agree_tos = ca.options.agree_tos || options_.agree_tos;
  // Asked for only where it is needed.
  if (!ca.options.eab || !session.directory().meta.external_account_required) co_return options;
  const auto given = std::make_shared<std::pair<std::string, std::string>>();
  std::function<Result<void>()> ask = [given, eab = ca.options.eab]() -> Result<void> {
    *given = eab();
    return {};
  };
  Result<void> asked = co_await call(std::move(ask));
  if (!asked) co_return asked.error().while_doing("asking for the external account binding");
  Result<EabOptions> eab = result_of([&] { return EabOptions::from_text(given->first, given->second); });
  if (!eab) co_return eab.error().while_doing("reading the external account binding");
  options.eab = *eab;
  co_return options;
}

}  // namespace culmen::manager
