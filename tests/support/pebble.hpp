// Pebble, the test server of Let's Encrypt, as a process beside the test; one for each of the versions to be had.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/json/object.hpp>
#include "culmen/http.hpp"
#include "culmen/options.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"

namespace pebble_test {

struct PebbleOptions {
  PebbleOptions() = default;
  int reject_nonces_percent = 0;
  int reuse_authorizations_percent = 0;
  int alternate_roots = 0;
  int chain_length = 1;
  bool external_account_required = false;
  std::string retry_after = "0";  // seconds, for orders and authorizations
  std::vector<std::string> blocked_names;
};

/// The MAC key that Pebble knows under the key ID "kid-1", when it requires an external account.
constexpr const char* eab_key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// NEWEST or DISTRIBUTION: the environment variable CULMEN_PEBBLE_<this> names the folder that holds both programs.
extern std::string which_pebble;

class Pebble {
 public:
  /// Starts Pebble and its DNS server, which knows every name at 127.0.0.1.
  explicit Pebble(const PebbleOptions& options = {});

  const std::string& directory_url() const noexcept { return directory_url_; }
  /// PEM file of the root that signed Pebble's TLS certificate.
  std::string root_file() const { return (folder_ / "tls-root.pem").string(); }
  /// Where it validates http-01.
  std::uint16_t http_port() const noexcept { return http_port_; }
  /// Where it validates tls-alpn-01.
  std::uint16_t tls_port() const noexcept { return tls_port_; }
  /// Lets renewal information for that certificate be `ari_json`. False when this Pebble cannot do that.
  bool set_renewal_info(const std::string& certificate_pem, const std::string& ari_json) const;
  /// From its management port: the roots of the certificates it issues, 0 the default one.
  std::string issuing_root(int index) const;
  /// Its DNS server: adds a TXT value to a name; takes all of them away.
  void add_txt(const std::string& name, const std::string& value) const;
  void clear_txt(const std::string& name) const;
  /// Management: what it says of a certificate, "Valid" or "Revoked"; serial in hexadecimal.
  std::string status_of(const std::string& serial_hex) const;

 private:
  std::string managed(const std::string& path) const;
  void manage_dns(const std::string& path, const boost::json::object& body) const;
  culmen::HttpResponse manage(culmen::HttpRequest request) const;
  culmen::test::TemporaryFolder folder_;
  std::uint16_t port_, management_port_, http_port_, tls_port_, dns_port_, dns_management_port_;
  std::string directory_url_;
  std::unique_ptr<cli_test::Process> dns_, pebble_;
};

/// For a client of that Pebble.
inline culmen::ClientOptions trusting(const Pebble& pebble) {
  culmen::ClientOptions options;
  options.transport.extra_root_file = pebble.root_file();
  return options;
}

}  // namespace pebble_test
