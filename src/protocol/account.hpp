// Account objects (RFC 8555 §7.1.2, §7.3).
#pragma once

#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"

namespace culmen::protocol {

/// The newAccount payload; `eab` is the externalAccountBinding object as JSON, or empty.
std::string new_account_payload(const AccountOptions& options, const std::string& eab);
std::string find_account_payload();
/// An empty list clears the contacts.
std::string update_account_payload(const std::vector<std::string>& contacts);
std::string deactivate_payload();

/// newAccount's answer: the Location is the account's URL and must be there. The body need not be readable.
Result<Account> parse_new_account(const HttpResponse& response, const AccountKey& key, std::string_view doing);
/// The account object; URL and key come from `account`.
Result<Account> parse_account(const HttpResponse& response, Account account, std::string_view doing);
/// The same for the response to a request that changed the account. Its body is not needed: if it cannot be read, the
/// account remains as it is.
Account account_after_change(const HttpResponse& response, Account account);
/// One page of the orders list.
Result<std::vector<std::string>> parse_orders_page(const HttpResponse& response);

}  // namespace culmen::protocol
