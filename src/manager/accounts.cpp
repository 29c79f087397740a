// The account at a CA: made once for all processes that share a storage, and never lost.
#include <utility>

#include "culmen/engine.hpp"
#include "manager/account_steps.hpp"
#include "manager/cas.hpp"

namespace culmen::manager {

namespace {
constexpr int lease_tries = 30;  // a second apart: an account is made in less
constexpr std::chrono::seconds lease_pause(1);

std::string mail_url(const std::string& contact) {
  return contact.find(':') == std::string::npos ? "mailto:" + contact : contact;
}
}  // namespace

Flow<Result<Account>> Cas::account(Ca& ca) {
  if (ca.account && !ca.account_is_gone) co_return *ca.account;
  const unsigned failures = ca.turn_failures;
  Result<Turn::Held> turn = co_await ca.turn.enter();
  if (!turn) co_return turn.error();
  if (ca.account && !ca.account_is_gone) co_return *ca.account;
  if (ca.turn_failures != failures) co_return *ca.turn_error;
  Result<Account> account = co_await account_in_turn(ca);
  if (!account) co_return failed_turn(ca, account.error());
  co_return account;
}

Flow<Result<Account>> Cas::account_in_turn(Ca& ca) {
  Result<engine::Session> session = co_await connect(ca);
  if (!session) co_return session.error();
  Result<Account> account = co_await find_or_make_account(ca, *session);
  if (!account) co_return account.error().while_doing("preparing the account at " + ca.directory);
  ca.account = *account;
  ca.account_is_gone = false;
  ca.ended_account.clear();
  co_return account;
}

Flow<Result<bool>> Cas::account_was_changed(Ca& ca, Account used) {
  Result<AccountRead> read = co_await read_stored_account(store_, ca.directory);
  if (!read) co_return read.error();
  if (read->record && is_usable(*read->record)) {
    Result<Account> stored = account_in(*read->record, ca.directory);
    if (!stored) co_return stored.error();
    if (stored->url == used.url && stored->key.thumbprint() == used.key.thumbprint()) co_return false;
  }
  ca.account.reset();
  co_return true;
}

Error Cas::ended_account(const Ca& ca) const {
  const std::string next = ca.options.replace_deactivated_account ? "a new one is registered with the next attempt"
                                                                  : std::string("a new one has to be registered");
  return Error(Errc::unauthorized, "ordering at " + ca.directory,
               "the account " + printable(ca.ended_account, 200) + " is deactivated, which cannot be undone; " + next);
}

Flow<Result<bool>> Cas::account_has_ended(Ca& ca, Account used) {
  if (ca.ended_account == used.url) co_return true;
  Result<engine::Session> session = co_await this->session(ca);
  if (!session) co_return session.error();
  Result<Account> found = co_await engine::find_account(*session, used.key);
  // RFC 8555 §7.3.6: the server refuses all requests of a deactivated account as unauthorized.
  const bool ended = found ? found->status == AccountStatus::deactivated || found->status == AccountStatus::revoked
                           : found.error().code() == Errc::unauthorized;
  if (!found && !ended) co_return found.error();
  if (!ended) co_return false;
  ca.account.reset();
  if (std::exchange(ca.ended_account, used.url) != used.url) {
    const Instant instant = co_await now();
    ManagerEvent event = make_event(ManagerEvent::Kind::warning, instant.wall, ended_account(ca).what());
    event.ca = ca.directory;
    reporter_.say(event);
  }
  co_return true;
}

Flow<Result<Account>> Cas::find_or_make_account(Ca& ca, engine::Session session) {
  for (int tries = 0; tries < lease_tries; ++tries) {
    Result<AccountRead> read = co_await read_stored_account(store_, ca.directory);
    if (!read) co_return read.error();
    const bool has_ended = read->record && !ca.ended_account.empty() && read->record->url == ca.ended_account;
    if (has_ended && !ca.options.replace_deactivated_account) co_return ended_account(ca);
    if (read->record && is_usable(*read->record) && !ca.account_is_gone && !has_ended)
      co_return account_in(*read->record, ca.directory);
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
  AccountRequest request;
  request.ask = ca.account_is_gone;
  request.ended = ca.ended_account;
  request.key_type = ca.options.account_key_type;
  request.options = [this, &ca, session] { return account_options(ca, session); };
  Result<Account> account = co_await account_at(store_, std::move(hold), session, ca.directory, std::move(request));
  if (!account) co_return account;
  const Instant instant = co_await now();
  for (const std::string& warning : account->warnings) {
    ManagerEvent event = make_event(ManagerEvent::Kind::warning, instant.wall, warning);
    event.ca = ca.directory;
    reporter_.say(event);
  }
  co_return account;
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
