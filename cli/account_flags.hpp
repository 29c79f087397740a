// How accounts are made: contacts, terms of service, external account binding.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client_options.hpp"
#include "culmen/account.hpp"
#include "culmen/directory.hpp"

namespace culmen::cli {

/// For a new account at that CA. Throws Error (invalid_argument) that says which flag is missing: the CA's terms are
/// not agreed to, or it binds accounts.
AccountOptions account_options(const AccountFlags& flags, const Directory& directory);
/// The external account binding; nullopt when no flag asks for one. Throws Failure (exit_usage).
std::optional<EabOptions> eab_of(const AccountFlags& flags);
/// With "mailto:" put before what has no scheme. Throws Failure (exit_usage) for what is no address.
std::vector<std::string> contact_urls(const std::vector<std::string>& contacts);

}  // namespace culmen::cli
