// Operations on accounts (RFC 8555 §7.3).
#include <set>

#include "engine/endpoints.hpp"
#include "engine/lists.hpp"
#include "engine/session.hpp"
#include "engine/signed_post.hpp"
#include "jose/jws.hpp"
#include "protocol/account.hpp"
#include "protocol/response.hpp"

namespace culmen::engine {

namespace {
Result<void> check_new_account(const Directory& directory, const AccountOptions& options) {
  constexpr std::string_view doing = "creating an account";
  if (directory.meta.external_account_required && !options.eab) {
    return Error(Errc::external_account_required, doing,
                 "this CA requires an external account binding: get a key ID and a MAC key from it, and pass both");
  }
  if (!directory.meta.terms_of_service.empty() && !options.agree_tos) {
    return Error(Errc::user_action_required, doing,
                 "this CA requires agreement to its terms of service: " + printable(directory.meta.terms_of_service));
  }
  return {};
}

/// find_account() with a time limit for each exchange.
Flow<Result<Account>> find_account_within(Session session, AccountKey key,
                                          std::optional<std::chrono::milliseconds> limit) {
  const std::string doing = "looking up the account";
  MakeRequest make = [key, limit, doing](const Directory& directory) -> Result<SignedRequest> {
    SignedRequest request(key.private_key(), directory.new_account, protocol::find_account_payload(), doing);
    request.repeat = Repeat::freely;
    request.time_limit = limit;
    return request;
  };
  Result<HttpResponse> response = co_await post_to_endpoint(session, std::move(make));
  if (!response) co_return response.error();
  co_return protocol::parse_new_account(*response, key, doing);
}

/// Adds a warning if the CA shows other contacts than those asked for. Some CAs show none at all.
void warn_of_contacts(Account& account, const std::vector<std::string>& asked) {
  const std::set<std::string> wanted(asked.begin(), asked.end());
  const std::set<std::string> kept(account.contacts.begin(), account.contacts.end());
  if (wanted == kept) return;
  std::string shown;
  for (const std::string& contact : kept) shown += (shown.empty() ? "" : ", ") + printable(contact, 100);
  account.warnings.push_back("the contacts asked for are not those of the account: the CA shows " +
                             (shown.empty() ? "none" : shown));
}

SignedRequest account_request(const Account& account, std::string payload, std::string doing) {
  SignedRequest request(account, account.url, std::move(payload), std::move(doing));
  request.repeat = Repeat::freely;  // Setting the same contacts or the same status again changes nothing.
  return request;
}

/// Looks the account of a key up after a key change whose outcome is unknown. The caller may have cancelled, so the CA
/// gets little time.
Flow<Result<Account>> look_up_key(Session session, AccountKey key) {
  return find_account_within(std::move(session), std::move(key), std::chrono::seconds(5));
}
}  // namespace

Flow<Result<Account>> new_account(Session session, AccountKey key, AccountOptions options) {
  const std::string doing = "creating an account";
  MakeRequest make = [key, options, doing](const Directory& directory) -> Result<SignedRequest> {
    if (Result<void> checked = check_new_account(directory, options); !checked) return checked.error();
    std::string binding;
    if (options.eab) {
      Result<std::string> bound =
          jose::external_account_binding(*options.eab, directory.new_account, key.private_key());
      if (!bound) return bound.error().while_doing(doing);
      binding = std::move(*bound);
    }
    SignedRequest request(key.private_key(), directory.new_account, protocol::new_account_payload(options, binding),
                          doing);
    request.repeat = Repeat::freely;  // RFC 8555 §7.3: a key that has an account already gets that one back.
    return request;
  };
  Result<HttpResponse> response = co_await post_to_endpoint(session, std::move(make));
  if (!response) co_return response.error();
  Result<Account> account = protocol::parse_new_account(*response, key, doing);
  if (account && (account->created || !options.contacts.empty())) warn_of_contacts(*account, options.contacts);
  co_return account;
}

Flow<Result<Account>> find_account(Session session, AccountKey key) {
  return find_account_within(std::move(session), std::move(key), std::nullopt);
}

Flow<Result<Account>> get_account(Session session, Account account) {
  const SignedRequest request = account_request(account, "", "fetching the account");
  Result<HttpResponse> response = co_await signed_post(std::move(session), request);
  if (!response) co_return response.error();
  co_return protocol::parse_account(*response, std::move(account), request.doing);
}

Flow<Result<Account>> update_account(Session session, Account account, std::vector<std::string> contacts) {
  const SignedRequest request =
      account_request(account, protocol::update_account_payload(contacts), "updating the account");
  Result<HttpResponse> response = co_await signed_post(std::move(session), request);
  if (!response) co_return response.error();
  account.contacts = contacts;
  Account updated = protocol::account_after_change(*response, std::move(account));
  warn_of_contacts(updated, contacts);
  co_return updated;
}

Flow<Result<Account>> deactivate_account(Session session, Account account) {
  SignedRequest request = account_request(account, protocol::deactivate_payload(), "deactivating the account");
  request.repeat = Repeat::never;
  Result<HttpResponse> response = co_await signed_post(session, request);
  if (!response && may_be_repeated(response.error())) {
    response = co_await signed_post(session, request);
    // RFC 8555 §7.3.6: requests of a deactivated account are refused as unauthorized. So the first request arrived.
    if (!response && response.error().code() == Errc::unauthorized) response = HttpResponse();
  }
  if (!response) co_return response.error();
  account.status = AccountStatus::deactivated;
  co_return protocol::account_after_change(*response, std::move(account));
}

Flow<Result<Account>> key_change(Session session, Account account, AccountKey new_key) {
  const std::string doing = "changing the account's key";
  MakeRequest make = [account, new_key, doing](const Directory& directory) -> Result<SignedRequest> {
    const std::string& url = directory.key_change;
    Result<std::string> payload = result_of(
        [&] { return jose::key_change_payload(account.key.private_key(), new_key.private_key(), account.url, url); });
    if (!payload) return payload.error().while_doing(doing);
    return SignedRequest(account, url, std::move(*payload), doing);
  };
  for (int tries = 0;; ++tries) {
    Result<HttpResponse> response = co_await post_to_endpoint(session, make);
    if (response) {
      Account changed = account;
      changed.key = new_key;
      if (response->body.empty()) co_return changed;  // RFC 8555 §7.3.5 asks for none
      Result<Account> read = protocol::parse_account(*response, std::move(changed), doing);
      if (read) co_return read;
    }
    // What is not an account may come from something in front of the CA, and the CA has heard nothing.
    const Error error =
        response ? Error(Errc::bad_response, doing, "the response is not an account") : response.error();
    const bool may_repeat = response || may_be_repeated(error);
    const bool cancelled = error.code() == Errc::cancelled;
    // The second request may have been refused because the first had arrived.
    if (!response && !cancelled && !outcome_unknown(error) && tries == 0) co_return error;

    // The response was lost; the change may have been applied. Ask the CA which of the two keys the account has, also
    // after a cancellation: the caller must know which key to keep.
    Result<Account> by_new_key = co_await shielded(look_up_key(session, new_key));
    if (by_new_key && by_new_key->url == account.url) co_return std::move(*by_new_key);
    Result<Account> by_old_key = co_await shielded(look_up_key(session, account.key));
    if (!by_old_key || by_old_key->url != account.url) {
      co_return Error(error.code(), doing,
                      "the response was lost, and the CA does not say which key the account has now: keep both, and "
                      "look the account up with each");
    }
    if (tries > 0 || !may_repeat) co_return error;
  }
}

Flow<Result<std::vector<std::string>>> list_orders(Session session, Account account) {
  return whole_list(std::move(session), std::move(account),
                    {&Account::orders, protocol::parse_orders_page, "listing the account's orders",
                     "this CA keeps no list of orders"});
}

}  // namespace culmen::engine
