#include "late.hpp"

#include <chrono>
#include <map>
#include <optional>

#include "deploy.hpp"
#include "host.hpp"

namespace culmen::cli {

LateAlarm late_alarm(const Host& host, Output& output) {
  return LateAlarm(deployment_options(host.local_folder(), {}, std::chrono::seconds(0), output));
}

std::vector<LateCertificate> untold(const LateAlarm& alarm, const Host& host,
                                    const std::vector<culmen::StoredCertificate>& certificates,
                                    const std::vector<std::string>& lost) {
  std::map<std::string, std::string> why;
  for (const std::string& id : lost) why[id] = host.lost_text(id);
  const auto settings_of = [&host](const std::string& id) -> std::optional<DeploymentSettings> {
    culmen::StoredCertificate certificate;  // programs are in settings of this host alone
    certificate.id = id;
    return host.settings_to_change(certificate).host;
  };
  return alarm.untold(certificates, why, settings_of);
}

}  // namespace culmen::cli
