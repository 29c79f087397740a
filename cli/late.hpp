// Telling the operator of certificates that are late: --on-failure.
#pragma once

#include <string>
#include <vector>

#include "culmen/late_alarm.hpp"
#include "culmen/stored_certificates.hpp"

namespace culmen::cli {

class Host;
class Output;

/// For this host; `output` must outlive it.
LateAlarm late_alarm(const Host& host, Output& output);
/// Those that were not told within a day. `lost`: ids of certificates that this host has settings for, and that are not
/// in storage any more. Throws Error (io_failed).
std::vector<LateCertificate> untold(const LateAlarm& alarm, const Host& host,
                                    const std::vector<culmen::StoredCertificate>& certificates,
                                    const std::vector<std::string>& lost);

}  // namespace culmen::cli
