// What is remembered of the CA's suggestions about a certificate (ARI, RFC 9773): renewal.json beside it.
#pragma once

#include "certificate_store.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/renewal_info.hpp"

namespace culmen::cli {

class Output;

/// Empty when nothing is kept, or nothing that can be read: a suggestion is not worth an error.
RenewalState read_renewal_state(const StoredCertificate& live);
void write_renewal_state(const StoredCertificate& live, const RenewalState& state);

/// The state with the CA's answer, or without one: the CA could not be asked, or has no renewal information.
RenewalState with_answer(const StoredCertificate& live, RenewalState state, const std::optional<RenewalInfo>& answer);

/// Asks the CA and takes its answer, or that there was none, into the state. Throws Error only when it is cancelled.
RenewalState ask_for_renewal_info(blocking::AcmeClient& client, const StoredCertificate& live, RenewalState state,
                                  Output& output);

}  // namespace culmen::cli
