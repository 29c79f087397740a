// What an error of issue() means for planning.
#include <algorithm>
#include <array>

#include "culmen/planner.hpp"

namespace culmen::planner {

namespace {

constexpr std::array<std::string_view, 7> failure_names = {"none",         "validation", "ca_unreachable", "ca_refused",
                                                           "rate_limited", "local",      "bad_certificate"};

/// From "try it elsewhere or later" to "look at it": of several problems, the first of these counts.
constexpr std::array<Failure, 4> by_weight = {Failure::rate_limited, Failure::ca_refused, Failure::validation,
                                              Failure::ca_unreachable};

Failure failure_by_status(int status) noexcept {
  if (status == 429) return Failure::rate_limited;
  return status >= 500 || status == 408 || status == 0 ? Failure::ca_unreachable : Failure::ca_refused;
}

Failure failure_of_code(Errc code, int status) noexcept;

/// `otherwise` if there is no problem.
Failure failure_of_problems(const std::vector<Problem>& problems, Failure otherwise, int depth = 0) noexcept {
  constexpr int deepest = 4;
  std::array<bool, failure_names.size()> found{};
  for (const Problem& problem : problems) {
    const Errc code = errc_from_type(problem.type);
    Failure failure = failure_of_code(code, problem.status);
    if (code == Errc::compound && depth < deepest)
      failure = failure_of_problems(problem.subproblems, Failure::ca_refused, depth + 1);
    // "unauthorized" of an authorization: the answer to the challenge was not right.
    if (code == Errc::unauthorized) failure = Failure::validation;
    found[static_cast<std::size_t>(failure)] = true;
  }
  const auto heaviest =
      std::ranges::find_if(by_weight, [&](Failure each) { return found[static_cast<std::size_t>(each)]; });
  return heaviest == by_weight.end() ? otherwise : *heaviest;
}

Failure failure_of_code(Errc code, int status) noexcept {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::cancelled:
    case Errc::crypto_failed:
    case Errc::unsupported_key_type:
    case Errc::jose_failed:
    case Errc::io_failed:
    case Errc::conflict:
    case Errc::fenced:
    case Errc::held:
    case Errc::not_found:
    case Errc::solver_failed: return Failure::local;

    case Errc::deadline:
    case Errc::connection_failed:
    case Errc::tls_failed:
    case Errc::timeout:
    case Errc::response_too_large:
    case Errc::bad_response:
    case Errc::bad_nonce:
    case Errc::order_not_ready:
    case Errc::server_internal: return Failure::ca_unreachable;
    // No problem document: what answered is not the CA, but something in front of it.
    case Errc::http_status: return status == 429 ? Failure::rate_limited : Failure::ca_unreachable;

    case Errc::order_invalid:
    case Errc::authorization_invalid:
    case Errc::connection:
    case Errc::dns:
    case Errc::incorrect_response:
    case Errc::tls: return Failure::validation;

    case Errc::rate_limited: return Failure::rate_limited;
    case Errc::unknown_acme_error: return failure_by_status(status);

    case Errc::not_offered:
    case Errc::account_does_not_exist:
    case Errc::already_replaced:
    case Errc::already_revoked:
    case Errc::auto_renewal_canceled:
    case Errc::auto_renewal_cancellation_invalid:
    case Errc::auto_renewal_expired:
    case Errc::auto_renewal_revocation_not_supported:
    case Errc::bad_attestation_statement:
    case Errc::bad_csr:
    case Errc::bad_public_key:
    case Errc::bad_revocation_reason:
    case Errc::bad_signature_algorithm:
    case Errc::caa:
    case Errc::compound:
    case Errc::external_account_required:
    case Errc::invalid_contact:
    case Errc::invalid_profile:
    case Errc::malformed:
    case Errc::onion_caa_required:
    case Errc::rejected_identifier:
    case Errc::unauthorized:
    case Errc::unknown_delegation:
    case Errc::unsupported_contact:
    case Errc::unsupported_identifier:
    case Errc::user_action_required: return Failure::ca_refused;
  }
  return Failure::ca_refused;
}

}  // namespace

std::string_view to_string(Failure failure) noexcept {
  const auto index = static_cast<std::size_t>(failure);
  return index < failure_names.size() ? failure_names[index] : "unknown";
}

Failure failure_from(std::string_view name) noexcept {
  const auto found = std::ranges::find(failure_names, name);
  return found == failure_names.end() ? Failure::validation : static_cast<Failure>(found - failure_names.begin());
}

Failure failure_of(const Error& error) noexcept {
  const Failure by_code = failure_of_code(error.code(), error.http_status());
  switch (error.code()) {
    // The reasons are in the problems of the order and of its authorizations.
    case Errc::order_invalid:
    case Errc::authorization_invalid:
    case Errc::deadline: return failure_of_problems(error.problems(), by_code);
    case Errc::compound:
      return failure_of_problems(error.problem() ? error.problem()->subproblems : error.problems(), by_code);
    default: return by_code;
  }
}

}  // namespace culmen::planner
