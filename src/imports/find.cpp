// Reading the folder of any client, and what is checked of everything that was found.
#include <algorithm>

#include "imports/reading.hpp"

namespace culmen {

namespace {

bool is_kept_by_json(const std::string& text) { return printable(text, text.size()) == text; }

/// Settings are kept as JSON, and named in messages.
std::optional<Error> obstacle_of_texts(const FoundCertificate& certificate) {
  const FoundHostPart& host = certificate.host;
  std::vector<std::string> texts = {host.webroot, host.http_address, host.dns_hook, host.chain_file, host.key_file};
  for (const auto* hooks : {&host.pre_hooks, &host.deploy_hooks, &host.post_hooks})
    texts.insert(texts.end(), hooks->begin(), hooks->end());
  if (std::ranges::all_of(texts, is_kept_by_json)) return std::nullopt;
  return imports::unreadable(certificate.source,
                             "a path or a program in it is not UTF-8, or has control characters in it");
}

/// Whether it needs no quotes in a shell, and can be told from an option.
bool is_plain_id(const std::string& id) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
  return !id.empty() && id.size() <= 253 && id.front() != '.' && id.front() != '-' &&
         id.find_first_not_of(plain) == std::string::npos;
}

/// Its name, or its first domain if that cannot be one.
std::string id_for(const FoundCertificate& certificate) {
  if (is_plain_id(certificate.name)) return certificate.name;
  const std::vector<std::string>& names = certificate.spec.names;
  const bool is_name = std::ranges::find(names, certificate.name) != names.end();
  return id_of(CertificateSpec({is_name ? certificate.name : names.front()}));
}

FoundState read_state(const ClientFolder& from) {
  switch (from.client) {
    case OtherClient::certbot: return imports::find_of_certbot(from);
    case OtherClient::lego: return imports::find_of_lego(from);
    case OtherClient::acme_sh: return imports::find_of_acme_sh(from);
    case OtherClient::persist: return imports::find_of_persist(from);
  }
  throw Error(Errc::invalid_argument, "reading " + from.folder.string(), "there is no such client");
}

}  // namespace

std::string_view to_string(OtherClient client) noexcept {
  switch (client) {
    case OtherClient::certbot: return "certbot";
    case OtherClient::lego: return "lego";
    case OtherClient::acme_sh: return "acme.sh";
    case OtherClient::persist: return "persist";
  }
  return "unknown";
}

FoundState find_client_state(const ClientFolder& from) {
  FoundState found = read_state(from);
  found.folder = from.folder;
  std::ranges::stable_sort(found.accounts, {}, &FoundAccount::server);
  for (FoundCertificate& certificate : found.certificates) {
    if (certificate.wrong) continue;
    certificate.spec.id = id_for(certificate);
    certificate.wrong = obstacle_of_texts(certificate);
    const Result<void> good = check_spec(certificate.spec);
    if (!certificate.wrong && !good) certificate.wrong = good.error();
  }
  return found;
}

}  // namespace culmen
