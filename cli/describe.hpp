// Certificates as the program shows them.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/planner.hpp"
#include "host.hpp"
#include "json_object.hpp"

namespace culmen::cli {

/// What is shown of a certificate that was issued. Throws Error if its files cannot be read as what they are.
struct Shown {
  Shown() = default;
  Certificate leaf;
  std::string serial;  ///< As openssl and browsers show it.
  planner::Due due;
};
Shown shown(const culmen::StoredCertificate& certificate);

/// Those that were left out (--allow-subset-of-names), as far as they are still wanted.
std::vector<std::pair<std::string, LeftOutName>> missing_names(const culmen::StoredCertificate& certificate);

/// The members that `issue`, `list` and `status` have in common: names, CA, times, serial, issuer, files.
void describe(const culmen::StoredCertificate& certificate, const Host& host, JsonObject& json);

}  // namespace culmen::cli
