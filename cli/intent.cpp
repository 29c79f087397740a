#include "intent.hpp"

#include "command.hpp"
#include "culmen/certificate.hpp"
#include "deploy.hpp"
#include "hint.hpp"
#include "output.hpp"

namespace culmen::cli {

std::string other_key(const culmen::StoredCertificate& certificate, const HostSettings& settings) {
  if (!certificate.live || !certificate.damage.empty()) return {};
  const std::optional<PrivateKey> key = input_key(settings);
  if (!key || Certificate::from_pem(certificate.live->chain_pem).matches(*key)) return {};
  return "it is for another key than the one in " + settings.cert_key;
}

Intent intent_of(const Host& host, const culmen::StoredCertificate& certificate, bool force) {
  Intent intent;
  if (!certificate.damage.empty()) {
    intent.error = Error(Errc::io_failed, "", certificate.damage.front());
    return intent;
  }
  if (!certificate.record.revoked.empty() && !force) {
    intent.obstacle = "it was revoked on " + printable(certificate.record.revoked) +
                      "; to get a new one: " + hint("issue --name " + printable(certificate.id));
    return intent;
  }
  try {
    std::optional<Settings> settings = host.settings(certificate);
    if (!settings) return intent;
    settings->spec.id = certificate.id;
    check_settings(*settings);
    check_webroot(settings->host);
    try {
      check_outputs(settings->host);
    } catch (const Failure& failure) {
      intent.output_error = Error(Errc::io_failed, "", failure.message + ". " + failure.advice);
    }
    intent.kept.emplace();
    intent.kept->id = certificate.id;
    intent.kept->settings = std::move(*settings);
    if (force) intent.kept->force = "--force was given";
    if (intent.kept->force.empty()) intent.kept->force = other_key(certificate, intent.kept->settings.host);
  } catch (const Error& error) {
    intent.error = error;
  } catch (const Failure& failure) {
    intent.error = Error(Errc::io_failed, "", failure.message + ". " + failure.advice);
  }
  return intent;
}

}  // namespace culmen::cli
