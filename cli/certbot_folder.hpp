// What certbot keeps in its folder, read and never written:
//
//   accounts/<host>/<path>/<id>/        private_key.json (a JWK), regr.json (the account's URL), meta.json
//   renewal/<name>.conf                 how the certificate is renewed
//   live/<name>/                        privkey.pem, fullchain.pem: links into archive/
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/certificate.hpp"
#include "renewal_conf.hpp"

namespace culmen::cli {

/// An account's place. Its files are not read yet: one that is damaged must not hide the others.
struct CertbotAccount {
  std::string id;  ///< The folder's name.
  std::string server;
  std::filesystem::path folder;

  /// Throws Error, which names the file.
  Account read() const;
};

/// A certificate and how certbot renewed it.
struct CertbotCertificate {
  std::string name;
  RenewalConf conf;
  std::string server;
  std::string account_id;
  std::string fullchain;  ///< PEM blocks and nothing around them.
  Certificate leaf;
  PrivateKey key;
};

/// Throws Failure when it is none, or may not be read.
void check_certbot_folder(const std::filesystem::path& folder);
/// All there are, one server's beside each other.
std::vector<CertbotAccount> certbot_accounts(const std::filesystem::path& folder);
/// The names of all renewal/*.conf.
std::vector<std::string> certbot_names(const std::filesystem::path& folder);
/// Throws Error, which names the file.
RenewalConf read_renewal_conf(const std::filesystem::path& folder, const std::string& name);
/// Throws Error, which names the file: also when chain and key do not belong together.
CertbotCertificate read_certificate(const std::filesystem::path& folder, const std::string& name, RenewalConf conf);
/// The directory URL; certbot's first default when there is none.
std::string server_of(const RenewalConf& conf);

}  // namespace culmen::cli
