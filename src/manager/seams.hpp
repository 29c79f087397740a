// What tests and simulations replace.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "culmen/flow.hpp"
#include "culmen/issue.hpp"
#include "culmen/renewal_info.hpp"

namespace culmen::manager {

/// A plain value with callbacks. With `issue`, there are no accounts, sessions and signatures.
struct Seams {
  Seams() = default;
  /// In place of the account and engine::issue(): the CA's directory URL, and what is wanted. It has to call
  /// store_order and store_key of the request, and to report refused certificates, if that matters.
  std::function<Flow<Result<IssuedCertificate>>(std::string ca, IssueRequest request)> issue;
  /// In place of engine::get_renewal_info(): the directory URL, and the CertID.
  std::function<Flow<Result<RenewalInfo>>(std::string ca, std::string certificate_id)> renewal_info;
  /// A number in [0, 1); empty: from a random seed.
  std::function<double()> random;
  /// The pause between two searches for what other processes have changed; nullopt: by the number of certificates.
  std::optional<std::chrono::seconds> scan_pause;
  bool watch = true;  ///< Off: what other processes change is seen only when a certificate is due.
};

}  // namespace culmen::manager
