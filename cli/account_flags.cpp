#include "account_flags.hpp"

#include <algorithm>

#include "command.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

std::string host_of(std::string_view url) {
  const auto start = url.find("://");
  if (start == std::string_view::npos) return {};
  url.remove_prefix(start + 3);
  return std::string(url.substr(0, url.find('/')));
}

void require_terms(const AccountFlags& flags, const Directory& directory) {
  const std::string& terms = directory.meta.terms_of_service;
  if (terms.empty() || flags.agree_tos) return;
  throw Error(Errc::invalid_argument, "making an account",
              "this CA asks you to agree to its terms of service: " + printable(terms) +
                  ". Read them; if you agree, run the same command again with --agree-tos");
}

void require_eab(const AccountFlags& flags, const Directory& directory) {
  if (!directory.meta.external_account_required || !flags.eab_kid.empty() || !flags.eab_key.empty()) return;
  const std::string host = host_of(directory.url);
  std::string where = "at the CA's web site";
  if (!directory.meta.website.empty()) where += " (" + printable(directory.meta.website) + ")";
  if (host.ends_with("zerossl.com")) where = "at https://app.zerossl.com/developer";
  if (host.ends_with("pki.goog"))
    where = "with: gcloud publicca external-account-keys create (https://pki.goog/updates/may2023-signup.html)";
  if (host.ends_with("ssl.com")) where = "at https://secure.ssl.com, under API credentials of your account";
  throw Error(Errc::invalid_argument, "making an account",
              "this CA binds ACME accounts to an account that you have there. Get a key id and a MAC key " + where +
                  ", and give them with --eab-kid and --eab-key");
}

/// An e-mail address that a CA could use: something on both sides of one "@", without spaces.
bool is_address(const std::string& text) {
  const auto at = text.find('@');
  return at != std::string::npos && at > 0 && at + 1 < text.size() && text.find('@', at + 1) == std::string::npos &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

}  // namespace

AccountOptions account_options(const AccountFlags& flags, const Directory& directory) {
  require_terms(flags, directory);
  require_eab(flags, directory);
  AccountOptions options;
  options.contacts = contact_urls(flags.contacts);
  options.agree_tos = flags.agree_tos;
  options.eab = eab_of(flags);
  return options;
}

std::optional<EabOptions> eab_of(const AccountFlags& flags) {
  if (flags.eab_kid.empty() && flags.eab_key.empty()) return std::nullopt;
  if (flags.eab_kid.empty() || flags.eab_key.empty())
    throw Failure(exit_usage, "invalid_argument", "--eab-kid and --eab-key belong together; one is missing");
  try {
    return EabOptions::from_text(flags.eab_kid, flags.eab_key, flags.eab_alg);
  } catch (const Error& error) {
    throw Failure(exit_usage, "invalid_argument", "--eab-key: " + std::string(error.what()));
  }
}

std::vector<std::string> contact_urls(const std::vector<std::string>& contacts) {
  std::vector<std::string> urls;
  for (std::string url : contacts) {
    const auto first = url.find_first_not_of(" \t");
    url = first == std::string::npos ? std::string() : url.substr(first, url.find_last_not_of(" \t") + 1 - first);
    const bool has_scheme = url.find(':') != std::string::npos;
    const std::string address = url.starts_with("mailto:") ? url.substr(7) : url;
    if ((!has_scheme || url.starts_with("mailto:")) && !is_address(address)) {
      throw Failure(exit_usage, "invalid_argument", "the contact \"" + printable(url) + "\" is not an e-mail address",
                    "Give one such as ops@example.com, or a URL.");
    }
    urls.push_back(has_scheme ? url : "mailto:" + url);
  }
  return urls;
}

}  // namespace culmen::cli
