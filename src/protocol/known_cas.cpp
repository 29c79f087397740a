#include <algorithm>

#include "culmen/directory.hpp"

namespace culmen {

const std::vector<KnownCa>& known_cas() {
  static const std::vector<KnownCa> cas = {
      {"letsencrypt", "https://acme-v02.api.letsencrypt.org/directory", false},
      {"letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory", false},
      {"zerossl", "https://acme.zerossl.com/v2/DV90", true},
      {"google", "https://dv.acme-v02.api.pki.goog/directory", true},
      {"google-staging", "https://dv.acme-v02.test-api.pki.goog/directory", true},
      {"sslcom", "https://acme.ssl.com/sslcom-dv-ecc", true},
      {"sslcom-rsa", "https://acme.ssl.com/sslcom-dv-rsa", true},
      {"actalis", "https://acme-api.actalis.com/acme/directory", true},
      {"sectigo", "https://acme.sectigo.com/v2/DV", true},
      {"digicert", "https://acme.digicert.com/v2/acme/directory/", true},
      {"globalsign", "https://emea.acme.atlas.globalsign.com/directory", true},
  };
  return cas;
}

std::string resolve_directory_url(std::string_view name_or_url) {
  const auto found = std::ranges::find(known_cas(), name_or_url, &KnownCa::name);
  return std::string(found == known_cas().end() ? name_or_url : found->directory_url);
}

}  // namespace culmen
