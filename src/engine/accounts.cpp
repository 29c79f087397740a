// Operations on accounts (RFC 8555 §7.3).
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

Flow<Result<Account>> post_to_account(Session session, Account account, std::string payload, std::string doing) {
  SignedRequest request(account, account.url, std::move(payload), std::move(doing));
  Result<HttpResponse> response = co_await signed_post(session, request);
  if (!response) co_return response.error();
  co_return protocol::parse_account(*response, std::move(account), request.doing);
}
}  // namespace

Flow<Result<Account>> new_account(Session session, AccountKey key, AccountOptions options) {
  constexpr std::string_view doing = "creating an account";
  if (Result<void> checked = check_new_account(session.directory(), options); !checked) co_return checked.error();
  std::string binding;
  if (options.eab) {
    Result<std::string> bound =
        jose::external_account_binding(*options.eab, session.directory().new_account, key.private_key());
    if (!bound) co_return bound.error().while_doing(doing);
    binding = std::move(*bound);
  }
  SignedRequest request(key.private_key(), session.directory().new_account,
                        protocol::new_account_payload(options, binding), std::string(doing));
  request.idempotent = true;  // RFC 8555 §7.3: a key that has an account already gets that one back.
  Result<HttpResponse> response = co_await signed_post(session, std::move(request));
  if (!response) co_return response.error();
  co_return protocol::parse_new_account(*response, key, doing);
}

Flow<Result<Account>> find_account(Session session, AccountKey key) {
  constexpr std::string_view doing = "looking up the account";
  SignedRequest request(key.private_key(), session.directory().new_account, protocol::find_account_payload(),
                        std::string(doing));
  request.idempotent = true;
  Result<HttpResponse> response = co_await signed_post(session, std::move(request));
  if (!response) co_return response.error();
  co_return protocol::parse_new_account(*response, key, doing);
}

Flow<Result<Account>> get_account(Session session, Account account) {
  co_return co_await post_to_account(std::move(session), std::move(account), "", "fetching the account");
}

Flow<Result<Account>> update_account(Session session, Account account, std::vector<std::string> contacts) {
  co_return co_await post_to_account(std::move(session), std::move(account), protocol::update_account_payload(contacts),
                                     "updating the account");
}

Flow<Result<Account>> deactivate_account(Session session, Account account) {
  co_return co_await post_to_account(std::move(session), std::move(account), protocol::deactivate_payload(),
                                     "deactivating the account");
}

Flow<Result<Account>> key_change(Session session, Account account, AccountKey new_key) {
  constexpr std::string_view doing = "changing the account's key";
  const std::string& url = session.directory().key_change;
  Result<std::string> payload = result_of(
      [&] { return jose::key_change_payload(account.key.private_key(), new_key.private_key(), account.url, url); });
  if (!payload) co_return payload.error().while_doing(doing);
  SignedRequest request(account, url, std::move(*payload), std::string(doing));
  Result<HttpResponse> response = co_await signed_post(session, std::move(request));
  if (response) {
    account.key = new_key;
    co_return protocol::parse_account(*response, std::move(account), doing);
  }
  if (!outcome_unknown(response.error())) co_return response.error();

  // The response was lost; the change may have been applied. Ask the CA which of the two keys the account has.
  Result<Account> by_new_key = co_await find_account(session, new_key);
  if (by_new_key && by_new_key->url == account.url) co_return std::move(*by_new_key);
  Result<Account> by_old_key = co_await find_account(session, account.key);
  if (by_old_key && by_old_key->url == account.url) co_return response.error();
  co_return Error(
      response.error().code(), doing,
      "the response was lost, and the CA does not say which key the account has now: keep both, and look the "
      "account up with each");
}

Flow<Result<std::vector<std::string>>> list_orders(Session session, Account account) {
  return whole_list(std::move(session), std::move(account),
                    {&Account::orders, protocol::parse_orders_page, "listing the account's orders",
                     "this CA keeps no list of orders"});
}

}  // namespace culmen::engine
