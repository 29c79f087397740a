#include "culmen/stored_accounts.hpp"

#include <utility>

#include "culmen/engine.hpp"
#include "manager/account_steps.hpp"

namespace culmen {

namespace manager {

/// Which key of an account counts.
struct Settled {
  Settled() = default;
  bool is_next = false;
  Account account;
};

namespace {
constexpr std::string_view all_accounts = "accounts/";

std::string account_doing(const std::string& directory) { return "using the account at " + directory; }

/// The CA has understood the request, and will say the same again.
bool is_refusal(const Error& error) { return error.code() == ErrorCondition::from_server && !is_worth_retrying(error); }
/// The CA does not take keys of that kind, so no account has one.
bool is_refusal_of_key(const Error& error) {
  return error.code() == Errc::bad_signature_algorithm || error.code() == Errc::bad_public_key ||
         error.code() == Errc::malformed;
}

bool has_ended(const Account& account) {
  return account.status == AccountStatus::deactivated || account.status == AccountStatus::revoked;
}

Error no_account(const std::string& directory) {
  return Error(Errc::account_does_not_exist, account_doing(directory), "there is none in storage; register one");
}

Result<AccountKey> key_in(const std::string& pem, const std::string& directory) {
  Result<AccountKey> key = result_of([&] { return AccountKey::from_pem(pem); });
  if (key) return key;
  return Error(key.error().code(),
               "reading the account at " + printable(directory) + " (" + account_key_of(directory) + ")",
               (pem.empty() ? "it has no private key"
                            : "its private key (account.key) cannot be read: " + key.error().detail()) +
                   "; restore it from a backup, or register a new account in its place");
}

Flow<Result<void>> write_account(Store& store, std::shared_ptr<Hold> hold, std::string directory,
                                 AccountRead& account) {
  Result<std::string> value = result_of([&] { return encode(*account.record); });
  if (!value) co_return value.error();
  Write write(account_key_of(directory), std::move(*value));
  write.expected = account.revision;
  Result<Revision> written = co_await write_one_of(store, std::move(write), std::move(hold));
  if (!written) co_return written.error();
  account.revision = std::move(*written);
  co_return Result<void>();
}

/// Puts all keys of the record aside.
Flow<Result<void>> set_keys_aside(Store& store, const AccountRecord& record) {
  const std::string pems[] = {record.key_pem, record.next_key_pem};
  for (const std::string& pem : pems) {
    if (pem.empty()) continue;
    Result<std::string> kept = co_await keep_unused_key(store, pem);
    if (!kept) co_return kept.error();
  }
  co_return Result<void>();
}

/// A key change that was begun and did not end: the CA says which key counts. Its URL is not compared with the stored
/// one: CAs change their URLs.
Flow<Result<Settled>> ask_which_key_counts(engine::Session session, AccountRecord record, std::string directory) {
  const std::string doing = "ending the key change of the account at " + directory;
  Settled settled;
  Result<AccountKey> next = key_in(record.next_key_pem, directory);
  if (next) {
    Result<Account> account = co_await engine::find_account(session, *next);
    if (account) {
      settled.is_next = true;
      settled.account = std::move(*account);
      co_return settled;
    }
    // A key that is refused for any reason is not the account's, if the other one is.
    if (!is_refusal(account.error())) co_return account.error().while_doing(doing);
  }
  Result<AccountKey> present = key_in(record.key_pem, directory);
  if (!present) co_return present.error().while_doing(doing);
  Result<Account> account = co_await engine::find_account(session, *present);
  if (account) {
    settled.account = std::move(*account);
    co_return settled;
  }
  if (account.error().code() != Errc::account_does_not_exist) co_return account.error().while_doing(doing);
  co_return Error(
      Errc::account_does_not_exist, doing,
      "the CA knows neither the old key nor the new one; both are in storage under " + account_key_of(directory));
}

/// The key that counts becomes the account's, and the other one is set aside.
Flow<Result<Account>> end_key_change(Store& store, std::shared_ptr<Hold> hold, std::string directory,
                                     AccountRead& account, Settled settled) {
  AccountRecord& record = *account.record;
  if (settled.is_next) std::swap(record.key_pem, record.next_key_pem);
  Result<std::string> kept = co_await keep_unused_key(store, record.next_key_pem);
  if (!kept) co_return kept.error();
  record.next_key_pem.clear();
  record.url = settled.account.url;
  record.directory_url = directory;
  Result<void> written = co_await write_account(store, std::move(hold), directory, account);
  if (!written) co_return written.error();
  co_return settled.account;
}

/// Makes a new key the account's, before the CA hears of it.
Flow<Result<AccountKey>> store_new_key(Store& store, std::shared_ptr<Hold> hold, std::string directory,
                                       AccountRead& account, std::string key_type) {
  std::function<Result<AccountKey>()> generate = [key_type] {
    return result_of([&] { return key_type.empty() ? AccountKey::generate() : AccountKey::generate(key_type); });
  };
  Result<AccountKey> key = generate();
  if (!key) co_return key.error().while_doing("making a key for the account at " + directory);
  if (account.record) {
    Result<void> kept = co_await set_keys_aside(store, *account.record);
    if (!kept) co_return kept.error();
  }
  account.record.emplace();
  account.record->key_pem = key->to_pem();
  account.record->directory_url = directory;
  Result<void> written = co_await write_account(store, std::move(hold), directory, account);
  if (!written) co_return written.error();
  co_return key;
}

Flow<Result<AccountOptions>> options_from(std::function<AccountOptions()> options) {
  const auto asked = std::make_shared<AccountOptions>();
  std::function<Result<void>()> ask = [asked, options = std::move(options)]() -> Result<void> {
    if (options) *asked = options();
    return {};
  };
  Result<void> called = co_await call(std::move(ask));
  if (!called) co_return called.error();
  co_return *asked;
}
}  // namespace

bool is_usable(const AccountRecord& record) {
  return !record.key_pem.empty() && !record.url.empty() && record.next_key_pem.empty();
}

Result<Account> account_in(const AccountRecord& record, const std::string& directory) {
  Result<AccountKey> key = key_in(record.key_pem, directory);
  if (!key) return key.error();
  return Account(record.url, std::move(*key));
}

Flow<Result<AccountRead>> read_stored_account(Store& store, std::string directory) {
  const std::string key = account_key_of(directory);
  Result<std::optional<StoredValue>> stored = co_await load_one_of(store, key);
  if (!stored) co_return stored.error();
  AccountRead account;
  if (!*stored) co_return account;
  Result<AccountRecord> record = decode_account((*stored)->value);
  if (!record) {
    co_return Error(record.error().code(), "reading " + key,
                    record.error().detail() + "; restore it from a backup, or remove it to begin with a new account");
  }
  account.record = std::move(*record);
  account.revision = (*stored)->revision;
  co_return account;
}

Flow<Result<Account>> account_at(Store& store, std::shared_ptr<Hold> hold, engine::Session session,
                                 std::string directory, AccountRequest request) {
  Result<AccountRead> read = co_await read_stored_account(store, directory);
  if (!read) co_return read.error();
  AccountRead& stored = *read;
  const bool may_make = static_cast<bool>(request.options);
  if (stored.record && !request.ended.empty() && stored.record->url == request.ended) request.replace = true;
  if (!stored.record && !may_make) co_return no_account(directory);
  if (stored.record && is_usable(*stored.record) && !request.ask && !request.replace)
    co_return account_in(*stored.record, directory);

  std::optional<AccountKey> key;
  // A key without an account is also what a call with `replace` leaves that did not end: it goes on with that key.
  const bool is_without_account = stored.record && stored.record->url.empty() && stored.record->next_key_pem.empty();
  if (stored.record && !stored.record->next_key_pem.empty() && !request.replace) {
    Result<Settled> settled = co_await ask_which_key_counts(session, *stored.record, directory);
    if (!settled) co_return settled.error();
    co_return co_await end_key_change(store, hold, directory, stored, std::move(*settled));
  }
  if (stored.record && (!request.replace || is_without_account)) {
    Result<AccountKey> present = key_in(stored.record->key_pem, directory);
    if (!present && !request.replace) co_return present.error();
    if (present) {
      Result<Account> account = co_await engine::find_account(session, *present);
      if (account && !(request.replace && has_ended(*account))) {
        stored.record->url = account->url;
        stored.record->directory_url = directory;
        Result<void> written = co_await write_account(store, hold, directory, stored);
        if (!written) co_return written.error();
        co_return account;
      }
      const std::string type = present->private_key().type();
      // The key of an account that the CA has forgotten stays.
      const bool is_wanted = request.key_type.empty() || request.key_type == type || !stored.record->url.empty();
      const bool is_free = !account && account.error().code() == Errc::account_does_not_exist;
      const bool is_refused =
          !account &&
          (is_refusal_of_key(account.error()) ? !is_wanted : request.replace && is_refusal(account.error()));
      if (!account && !is_free && !is_refused) co_return account.error();
      if (!may_make) co_return account.error().while_doing(account_doing(directory));
      if (is_free && is_wanted) key = *present;
    }
  }
  Flow<Result<AccountOptions>> asking = request.options();
  Result<AccountOptions> options = co_await std::move(asking);
  if (!options) co_return options.error();
  if (!key) {
    Result<AccountKey> made = co_await store_new_key(store, hold, directory, stored, request.key_type);
    if (!made) co_return made.error();
    key = *made;
  }
  Result<Account> account = co_await engine::new_account(session, *key, *options);
  if (!account) co_return account.error();
  stored.record->url = account->url;
  stored.record->directory_url = directory;
  Result<void> written = co_await write_account(store, hold, directory, stored);
  if (!written) co_return written.error();
  co_return account;
}

// ---- Under the lease ----

namespace {
Flow<Result<Account>> use_account(Leases& leases, engine::Session session, AccountRequest request) {
  const std::string directory = session.directory_url();
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(account_lease(directory));
  if (!hold) co_return hold.error();
  co_return co_await account_at(leases.store(), *hold, session, directory, std::move(request));
}

/// Right before a request whose effect another process must not see undone.
Flow<Result<void>> require_hold(std::shared_ptr<Hold> hold, std::chrono::seconds ttl) {
  const Instant instant = co_await now();
  const auto reserve = std::chrono::duration_cast<std::chrono::steady_clock::duration>(ttl) / 6;
  if (hold->lost || instant.steady >= hold->lease.good_until - reserve) co_return lease_was_lost(hold->lease.name);
  co_return Result<void>();
}

Flow<Result<Account>> change_key(Leases& leases, engine::Session session, std::string key_type,
                                 std::chrono::seconds ttl) {
  const std::string directory = session.directory_url();
  const std::string doing = "changing the key of the account at " + directory;
  Store& store = leases.store();
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(account_lease(directory));
  if (!hold) co_return hold.error().while_doing(doing);
  Result<AccountRead> read = co_await read_stored_account(store, directory);
  if (!read) co_return read.error().while_doing(doing);
  AccountRead& stored = *read;
  if (!stored.record) co_return no_account(directory);
  std::optional<AccountKey> next;
  std::optional<Account> account;
  if (!stored.record->next_key_pem.empty()) {
    Result<Settled> settled = co_await ask_which_key_counts(session, *stored.record, directory);
    if (!settled) co_return settled.error();
    const Result<AccountKey> begun = key_in(stored.record->next_key_pem, directory);
    const bool fits = begun && (key_type.empty() || begun->private_key().type() == key_type);
    if (!settled->is_next && fits) {
      // With the same key again: the request of before may still arrive.
      next = *begun;
      account = settled->account;
    } else {
      const bool is_done = settled->is_next && fits;
      Result<Account> ended = co_await end_key_change(store, *hold, directory, stored, std::move(*settled));
      if (!ended || is_done) co_return ended;
      account = *ended;
    }
  } else if (is_usable(*stored.record)) {
    Result<Account> present = account_in(*stored.record, directory);
    if (!present) co_return present.error().while_doing(doing);
    account = *present;
  } else {
    Result<AccountKey> present = key_in(stored.record->key_pem, directory);
    if (!present) co_return present.error().while_doing(doing);
    Result<Account> found = co_await engine::find_account(session, *present);
    if (!found) co_return found.error().while_doing(doing);
    account = *found;
  }
  if (!next) {
    Result<AccountKey> made =
        result_of([&] { return key_type.empty() ? AccountKey::generate() : AccountKey::generate(key_type); });
    if (!made) co_return made.error().while_doing(doing);
    next = *made;
    stored.record->url = account->url;
    stored.record->next_key_pem = next->to_pem();
    Result<void> written = co_await write_account(store, *hold, directory, stored);
    if (!written) co_return written.error().while_doing(doing);
  }
  Result<void> held = co_await require_hold(*hold, ttl);
  if (!held) co_return held.error().while_doing(doing);
  Result<Account> changed = co_await engine::key_change(session, *account, *next);
  if (!changed && changed.error().code() == Errc::cancelled) co_return changed.error();
  Settled settled;
  if (changed) {
    settled.is_next = true;
    settled.account = *changed;
  } else {
    Result<Settled> asked = co_await ask_which_key_counts(session, *stored.record, directory);
    if (!asked) co_return changed.error().while_doing(doing);  // both keys stay
    settled = std::move(*asked);
  }
  const bool is_changed = settled.is_next;
  Result<Account> ended = co_await end_key_change(store, *hold, directory, stored, std::move(settled));
  if (!ended) co_return ended.error().while_doing(doing);
  if (!is_changed) co_return changed.error().while_doing(doing);
  co_return ended;
}

/// Whether the CA takes no requests of that account any more.
Flow<Result<bool>> is_over(engine::Session session, Account account) {
  Result<Account> found = co_await engine::find_account(session, account.key);
  if (found) co_return has_ended(*found);
  if (found.error().code() == Errc::unauthorized || found.error().code() == Errc::account_does_not_exist)
    co_return true;
  co_return found.error();
}

Flow<Result<std::string>> deactivate(Leases& leases, engine::Session session) {
  const std::string directory = session.directory_url();
  const std::string doing = "deactivating the account at " + directory;
  Store& store = leases.store();
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(account_lease(directory));
  if (!hold) co_return hold.error().while_doing(doing);
  Result<AccountRead> read = co_await read_stored_account(store, directory);
  if (!read) co_return read.error().while_doing(doing);
  if (!read->record) co_return no_account(directory);
  const AccountRecord& record = *read->record;
  Result<AccountKey> key = key_in(record.key_pem, directory);
  if (!key) co_return key.error().while_doing(doing);
  Account account(record.url, *key);
  bool is_deactivated = false;
  if (!record.next_key_pem.empty()) {
    Result<Settled> settled = co_await ask_which_key_counts(session, record, directory);
    if (settled) account = settled->account;
    is_deactivated = !settled && settled.error().code() == Errc::unauthorized;
    if (!settled && !is_deactivated) co_return settled.error().while_doing(doing);
  } else if (record.url.empty()) {
    Result<Account> found = co_await engine::find_account(session, *key);
    if (found) account = *found;
    is_deactivated = !found && found.error().code() == Errc::unauthorized;
    if (!found && !is_deactivated) co_return found.error().while_doing(doing);
  }
  if (!is_deactivated) {
    Result<Account> ended = co_await engine::deactivate_account(session, account);
    if (!ended && !is_refusal(ended.error())) co_return ended.error().while_doing(doing);
    if (!ended) {
      // An earlier call may have done it.
      Result<bool> over = co_await is_over(session, account);
      if (!over || !*over) co_return ended.error().while_doing(doing);
    }
  }
  const std::string last_key = account.key.to_pem();
  Result<std::string> kept = co_await keep_unused_key(store, last_key);
  if (!kept) co_return kept.error().while_doing(doing);
  Result<void> others = co_await set_keys_aside(store, record);
  if (!others) co_return others.error().while_doing(doing);
  Write removal(account_key_of(directory));
  removal.expected = read->revision;
  Result<Revision> removed = co_await write_one_of(store, std::move(removal), *hold);
  if (!removed) co_return removed.error().while_doing(doing);
  co_return kept;
}

Flow<Result<void>> import_under_lease(Leases& leases, std::string directory, Account account) {
  const std::string doing = "importing the account at " + directory;
  Store& store = leases.store();
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(account_lease(directory));
  if (!hold) co_return hold.error().while_doing(doing);
  Result<AccountRead> read = co_await read_stored_account(store, directory);
  if (!read) co_return read.error().while_doing(doing);
  AccountRead& stored = *read;
  const std::string key_pem = account.key.to_pem();
  if (stored.record) {
    const AccountRecord& record = *stored.record;
    const bool is_same = is_same_key(record.key_pem, key_pem);
    const bool is_next = is_same_key(record.next_key_pem, key_pem);
    const bool is_known = !record.url.empty() || !record.next_key_pem.empty() || account.url.empty();
    if (is_next || (is_same && is_known)) co_return Result<void>();
    if (!is_same && (!record.url.empty() || !record.next_key_pem.empty())) {
      co_return Error(Errc::conflict, doing,
                      "there is another account in storage (" + account_key_of(directory) + "), which is kept");
    }
    if (!is_same) {
      Result<void> kept = co_await set_keys_aside(store, record);
      if (!kept) co_return kept.error().while_doing(doing);
    }
  }
  stored.record.emplace();
  stored.record->key_pem = key_pem;
  stored.record->url = account.url;
  stored.record->directory_url = directory;
  Result<void> written = co_await write_account(store, *hold, directory, stored);
  if (!written) co_return written.error().while_doing(doing);
  co_return Result<void>();
}
}  // namespace

}  // namespace manager

// ---- For programs ----

Flow<Result<std::vector<StoredAccount>>> list_accounts(std::shared_ptr<Storage> storage) {
  manager::Store store(std::move(storage), manager::no_reporter(), "reader", std::chrono::seconds(60));
  Result<std::vector<StoredItem>> items = co_await manager::list_all(store, std::string(manager::all_accounts), true);
  if (!items) co_return items.error();
  std::vector<StoredAccount> accounts;
  for (StoredItem& item : *items) {
    const std::string_view key = item.key;
    const std::size_t end = key.rfind('/');
    if (key.substr(end) != "/account" || end < manager::all_accounts.size()) continue;
    const std::string_view part = key.substr(manager::all_accounts.size(), end - manager::all_accounts.size());
    StoredAccount account;
    account.server = storage_part_text(part).value_or(std::string(part));
    if (item.stored.revision.none()) {
      Result<std::optional<StoredValue>> loaded = co_await manager::load_one_of(store, item.key);
      if (!loaded && loaded.error().code() == Errc::cancelled) co_return loaded.error();
      if (!loaded) account.damage = loaded.error().what();
      if (loaded && !*loaded) continue;  // removed meanwhile
      if (loaded) item.stored = std::move(**loaded);
    }
    if (account.damage.empty()) {
      Result<AccountRecord> record = decode_account(item.stored.value);
      if (record) account.record = std::move(*record);
      const Result<AccountKey> readable = result_of([&] { return AccountKey::from_pem(account.record.key_pem); });
      if (!record) {
        account.damage = item.key + ": " + record.error().detail();
      } else if (!readable) {
        account.damage = item.key + ": its private key cannot be read: " + readable.error().detail();
      }
    }
    accounts.push_back(std::move(account));
  }
  co_return accounts;
}

Flow<Result<Account>> find_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                          LeaseOptions lease) {
  const std::string directory = session.directory_url();
  manager::Store store(storage, manager::no_reporter(), "reader", std::chrono::seconds(60));
  Result<manager::AccountRead> read = co_await manager::read_stored_account(store, directory);
  if (!read) co_return read.error();
  if (!read->record) co_return manager::no_account(directory);
  if (manager::is_usable(*read->record)) co_return manager::account_in(*read->record, directory);
  const std::function<Flow<Result<Account>>(manager::Leases&)> work = [session](manager::Leases& leases) {
    return manager::use_account(leases, session, manager::AccountRequest());
  };
  co_return co_await manager::with_leases<Account>(std::move(storage), std::move(lease), work);
}

Flow<Result<Account>> recover_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                             LeaseOptions lease) {
  manager::AccountRequest request;
  request.ask = true;
  const std::function<Flow<Result<Account>>(manager::Leases&)> work = [session, request](manager::Leases& leases) {
    return manager::use_account(leases, session, request);
  };
  co_return co_await manager::with_leases<Account>(std::move(storage), std::move(lease), work);
}

Flow<Result<Account>> register_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                              std::string key_type, std::function<AccountOptions()> options,
                                              bool replace, LeaseOptions lease) {
  manager::AccountRequest request;
  request.ask = true;
  request.key_type = std::move(key_type);
  request.options = [options] { return manager::options_from(options); };
  request.replace = replace;
  const std::function<Flow<Result<Account>>(manager::Leases&)> work = [session, request](manager::Leases& leases) {
    return manager::use_account(leases, session, request);
  };
  co_return co_await manager::with_leases<Account>(std::move(storage), std::move(lease), work);
}

Flow<Result<Account>> change_stored_account_key(std::shared_ptr<Storage> storage, engine::Session session,
                                                std::string key_type, LeaseOptions lease) {
  const std::function<Flow<Result<Account>>(manager::Leases&)> work = [session, key_type,
                                                                       ttl = lease.ttl](manager::Leases& leases) {
    return manager::change_key(leases, session, key_type, ttl);
  };
  co_return co_await manager::with_leases<Account>(std::move(storage), std::move(lease), work);
}

Flow<Result<std::string>> deactivate_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                                    LeaseOptions lease) {
  const std::function<Flow<Result<std::string>>(manager::Leases&)> work = [session](manager::Leases& leases) {
    return manager::deactivate(leases, session);
  };
  co_return co_await manager::with_leases<std::string>(std::move(storage), std::move(lease), work);
}

Flow<Result<void>> import_account(std::shared_ptr<Storage> storage, std::string directory_url, Account account,
                                  LeaseOptions lease) {
  const std::function<Flow<Result<void>>(manager::Leases&)> work = [directory_url, account](manager::Leases& leases) {
    return manager::import_under_lease(leases, directory_url, account);
  };
  co_return co_await manager::with_leases<void>(std::move(storage), std::move(lease), work);
}

}  // namespace culmen
