// Names of onion services (RFC 9799).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "culmen/bytes.hpp"
#include "culmen/identifier.hpp"
#include "culmen/problem.hpp"
#include "testca/state.hpp"

namespace culmen::testca {

inline bool is_onion(const Identifier& identifier) {
  return identifier.type == "dns" && identifier.value.ends_with(".onion");
}

/// Whether the CSR proves control of the name (RFC 9799 §3.2): nullopt, or why not. `nonce` as it was issued.
std::optional<Problem> judge_onion_csr(ByteView csr, const Identifier& identifier, ByteView nonce);
/// The same for the form with a key authorization.
std::optional<Problem> judge_onion_csr_with_token(ByteView csr, const Identifier& identifier,
                                                  std::string_view key_authorization);

/// Holds the lines of an onion service's CAA against this CA. Throws Refusal (caa, malformed).
void check_caa_records(const std::string& text, bool wildcard, std::string_view issuer_domain, const std::string& name);
/// Holds `onionCAA` of a finalize request, which may be null, against what is ordered (RFC 9799 §6.4). Throws Refusal.
void check_onion_caa(const boost::json::object* onion_caa, const std::vector<Identifier>& ordered,
                     std::string_view issuer_domain, bool required, TimePoint now);

}  // namespace culmen::testca
