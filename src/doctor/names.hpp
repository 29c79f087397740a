// What the DNS says about each name, and whether a CA would get the answer to a challenge there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/checkup.hpp"
#include "culmen/identifier.hpp"
#include "doctor/findings.hpp"

namespace culmen::doctor {

/// What is known of the CA. A plain value.
struct Ca {
  Ca() = default;
  std::string host;
  bool is_public = false;  ///< It cannot reach private addresses.
  bool answers = false;
  std::vector<std::string> identities;
  std::optional<Account> account;
};

/// Errors: cancelled, and invalid_argument for a DNS server.
Flow<Result<void>> check_names(Findings& findings, const CheckupRequest& request, const Ca& ca,
                               std::vector<Identifier> identifiers);

/// Whether an address is of no use on the internet: loopback, private, link-local, and others of the IANA registries.
bool is_private(const std::string& address);

}  // namespace culmen::doctor
