#include "protocol/account.hpp"

#include "protocol/json_reader.hpp"
#include "protocol/response.hpp"

namespace culmen {

std::string_view to_string(AccountStatus status) noexcept {
  switch (status) {
    case AccountStatus::valid: return "valid";
    case AccountStatus::deactivated: return "deactivated";
    case AccountStatus::revoked: return "revoked";
    case AccountStatus::unknown: return "unknown";
  }
  return "unknown";
}

}  // namespace culmen

namespace culmen::protocol {

namespace {
AccountStatus read_account_status(std::string_view text) {
  for (const AccountStatus status : {AccountStatus::valid, AccountStatus::deactivated, AccountStatus::revoked}) {
    if (to_string(status) == text) return status;
  }
  return AccountStatus::unknown;
}

json::array array_of(const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); }
}  // namespace

std::string new_account_payload(const AccountOptions& options, const std::string& eab) {
  json::object payload;
  if (options.agree_tos) payload["termsOfServiceAgreed"] = true;
  if (!options.contacts.empty()) payload["contact"] = array_of(options.contacts);
  if (!eab.empty()) payload["externalAccountBinding"] = json::parse(eab);
  return json::serialize(payload);
}

std::string find_account_payload() { return R"({"onlyReturnExisting":true})"; }

std::string update_account_payload(const std::vector<std::string>& contacts) {
  json::object payload;
  payload["contact"] = array_of(contacts);
  return json::serialize(payload);
}

std::string deactivate_payload() { return R"({"status":"deactivated"})"; }

namespace {
void read_account(const HttpResponse& response, const json::object& object, Account& account) {
  account.status = read_account_status(text_member(object, "status"));
  account.contacts = texts_member(object, "contact");
  account.orders = absolute_url(response, text_member(object, "orders"));
  account.delegations = absolute_url(response, text_member(object, "delegations"));
}
}  // namespace

Result<Account> parse_new_account(const HttpResponse& response, const AccountKey& key, std::string_view doing) {
  std::optional<std::string> url = location(response);
  if (!url) return Error(Errc::bad_response, doing, "the answer has no Location: the account's URL is not known");
  Account account(std::move(*url), key);
  account.created = response.status == 201;
  return account_after_change(response, std::move(account));
}

Result<Account> parse_account(const HttpResponse& response, Account account, std::string_view doing) {
  Result<json::object> object = parse_object(response.body, doing);
  if (!object) return object.error();
  read_account(response, *object, account);
  return account;
}

Account account_after_change(const HttpResponse& response, Account account) {
  if (Result<json::object> object = parse_object(response.body, "")) read_account(response, *object, account);
  return account;
}

Result<std::vector<std::string>> parse_orders_page(const HttpResponse& response) {
  Result<json::object> object = parse_object(response.body, "reading the list of orders");
  if (!object) return object.error();
  return texts_member(*object, "orders");
}

}  // namespace culmen::protocol
