// What is to be done about a certificate that is kept here.
#pragma once

#include <optional>
#include <string>

#include "culmen/error.hpp"
#include "host.hpp"
#include "settings.hpp"

namespace culmen::cli {

/// A certificate to be kept.
struct Kept {
  Kept() = default;
  std::string id;
  Settings settings;
  std::string force;  ///< Issue at once, even if it is not due: why. Empty: when it is due.
};

/// What is to be done about a certificate in storage: one of these, or nothing if another host renews it.
struct Intent {
  Intent() = default;
  std::optional<Kept> kept;
  std::string obstacle;               ///< Why it is left alone.
  std::optional<Error> output_error;  ///< Why its outputs or hooks will fail. It is renewed all the same.
  std::optional<Error> error;         ///< Why it cannot be kept.
};
/// `force` also renews what was revoked.
Intent intent_of(const Host& host, const culmen::StoredCertificate& certificate, bool force);

/// Why a certificate has to be replaced because of the key that --cert-key names; empty: it has not.
std::string other_key(const culmen::StoredCertificate& certificate, const HostSettings& settings);

}  // namespace culmen::cli
