// An ACME CA inside a program: for tests. Not for anything that is trusted.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/bytes.hpp"

namespace culmen {

/// How the test CA misbehaves. Everything off by default.
struct TestCaFaults {
  int reject_nonces_percent = 0;             ///< Good nonces refused with badNonce.
  int processing_polls = 0;                  ///< After finalize the order says `processing` for this many polls.
  int pending_polls = 0;                     ///< After validation the authorization looks pending for this many reads.
  std::optional<std::string> retry_after{};  ///< Sent with orders and authorizations in progress: "2", "date:2" (as an
                                             ///< HTTP date 2 s ahead), or any text as it is.
  bool reorder_identifiers = false;          ///< The order lists identifiers and authorizations in another order.
  bool no_location_on_finalize = false;
  bool strange_directory = false;         ///< Null meta fields, unknown members, a decoy key.
  bool odd_links = false;                 ///< Link headers joined, unquoted, relative, with parameters first.
  bool reuse_authorizations = false;      ///< New orders get authorizations that are valid already.
  bool empty_authorization_list = false;  ///< Orders without authorizations.
  bool no_orders_list = false;
  bool crlf_chain = false;  ///< CRLF line ends, blank lines and no final newline in chains.
  bool ready_race = false;  ///< The first finalize of a ready order is answered by orderNotReady.
};

/// One planned fault, for the `skip`+1-th request to that resource.
struct TestCaFault {
  enum class Kind {
    status,       ///< Answer `status` with a problem document of `problem_type` (short name; empty: an HTML body).
    drop_before,  ///< Close the connection without doing anything.
    drop_after,   ///< Do it, then close the connection without an answer.
    oversized,    ///< An endless body.
    garbage,      ///< 200 with a body that is not JSON.
  };
  TestCaFault(std::string resource_, Kind kind_) : resource(std::move(resource_)), kind(kind_) {}
  /// directory, new-nonce, new-account, account, new-order, order, authz, challenge, finalize, certificate,
  /// revoke-cert, key-change, new-authz, orders, delegations, delegation, renewal-info, star-certificate; or "*".
  std::string resource;
  Kind kind;
  int skip = 0;   ///< Let this many pass first.
  int times = 1;  ///< Then do it this often.
  int status = 500;
  std::string problem_type;
  std::string retry_after;  ///< As in TestCaFaults.
};

/// A delegation that the test CA offers (RFC 9115).
struct TestCaDelegation {
  explicit TestCaDelegation(std::string csr_template_, std::map<std::string, std::string> cname_map_ = {})
      : csr_template(std::move(csr_template_)), cname_map(std::move(cname_map_)) {}
  std::string csr_template;  ///< JSON (RFC 9115 §4).
  std::map<std::string, std::string> cname_map;
};

struct TestCaOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;   ///< 0: any free one.
  std::uint64_t seed = 0;   ///< 0: random. Otherwise tokens, nonces, serials and choices repeat.
  int chain_length = 1;     ///< Intermediates in the chain, 0 to 5.
  int alternate_roots = 0;  ///< Further chains, offered as alternates.
  std::chrono::seconds certificate_lifetime{90 * 24 * 3600};
  std::chrono::seconds order_lifetime{24 * 3600};

  bool external_account_required = false;
  std::map<std::string, Bytes> eab_keys{};  ///< kid to MAC key.
  std::string terms_of_service{};           ///< URL; newAccount then must agree.
  bool pre_authorization = true;
  std::vector<std::string> blocked_names{};  ///< Refused with rejectedIdentifier, as subproblems when several.
  int orders_per_page = 3;
  std::map<std::string, std::string> profiles{};

  std::uint16_t http_port = 80;                  ///< Where http-01 is validated.
  std::uint16_t https_port = 443;                ///< Where a redirect of http-01 to https leads.
  std::uint16_t tls_port = 443;                  ///< Where tls-alpn-01 is validated.
  bool allow_loopback = true;                    ///< Validate against loopback addresses.
  std::map<std::string, std::string> resolve{};  ///< Name (or "*") to address; others are looked up by the system.
  std::chrono::seconds validation_timeout{5};
  std::string dns_server{};  ///< "127.0.0.1:8053": whom to ask for TXT records; empty: DNS
                             ///< challenges are offered, and fail.
  bool dns_account = false;  ///< Offer dns-account-01 as well.
  enum class DnsPersist { off, account_url, account_hash };
  DnsPersist dns_persist = DnsPersist::off;         ///< Offer dns-persist-01, as drafts -00 and -01 have it or as -02.
  std::string issuer_domain = "ca.culmen.example";  ///< What CAA and dns-persist-01 records call this CA.
  enum class Onion { off, rfc9799, token };
  Onion onion = Onion::off;         ///< Issue for .onion names, by onion-csr-01 with a nonce or with a token.
  bool onion_type = false;          ///< Names of onion services have the identifier type "onion", not "dns".
  bool onion_caa_required = false;  ///< Finalize then needs the CAA records of onion services (RFC 9799 §6.4).
  bool subdomain_auth = false;      ///< Authorizations of a domain serve for names below it (RFC 9444).
  /// Issue for TNAuthList identifiers (RFC 9448), by tkauth-01: the public key, PEM, of the token authority that is
  /// trusted; empty: do not.
  std::string token_authority_key{};
  std::string token_authority{};  ///< URL that the challenge proposes; empty: none.
  bool skip_validation = false;   ///< Believe every challenge.

  bool renewal_info = true;  ///< Offer ARI (RFC 9773).
  std::string renewal_explanation_url{};
  std::chrono::seconds renewal_info_retry_after{21600};

  bool auto_renewal = false;  ///< Offer STAR (RFC 8739), within these limits.
  std::chrono::seconds auto_renewal_min_lifetime{3600};
  std::chrono::seconds auto_renewal_max_duration{365 * 24 * 3600};
  bool auto_renewal_certificate_get = true;

  /// Offered to every account, as many a page as orders (RFC 9115). The CA is the names' owner and the CA in one.
  std::vector<TestCaDelegation> delegations{};
  bool certificate_get = false;  ///< Orders that are no STAR orders may ask for download without an account.

  std::filesystem::path root_file{};  ///< Where to write the root's PEM; empty: nowhere.
  bool verbose = false;               ///< One line a request on standard error.
  TestCaFaults faults{};
};

/// An ACME server (RFC 8555) over real HTTPS, on threads of its own. Its TLS certificate and the certificates it issues
/// chain to one root of its own, made at the start.
class TestCa {
 public:
  explicit TestCa(TestCaOptions options = {});
  ~TestCa();
  TestCa(const TestCa&) = delete;
  TestCa& operator=(const TestCa&) = delete;

  /// Binds and serves. Throws Error (io_failed).
  void start();
  void stop() noexcept;

  std::string directory_url() const;
  /// The root that signed the TLS certificate and the default chain, PEM.
  std::string root_pem() const;
  /// Roots of the alternate chains, PEM.
  std::vector<std::string> alternate_root_pems() const;

  /// Plans a fault; may be called while it serves.
  void plan(TestCaFault fault);
  /// Changes the standing faults; may be called while it serves.
  void set_faults(TestCaFaults faults);
  /// Lets all validations of that name fail or succeed without looking; nullopt: look again.
  void force_validation(const std::string& identifier, std::optional<bool> outcome);
  /// Moves the CA's clock ahead.
  void advance_clock(std::chrono::seconds by);

  /// Requests served, by resource name (as in TestCaFault), and under "total" all of them; "connections" too.
  std::map<std::string, int> request_counts() const;
  void reset_counts();
  /// Certificates issued so far, PEM leaf each.
  std::vector<std::string> issued() const;
  bool is_revoked(const std::string& leaf_pem) const;
  /// What ARI suggests for that certificate from now on. Throws Error (invalid_argument).
  void set_renewal_window(const std::string& leaf_pem, std::chrono::system_clock::time_point start,
                          std::chrono::system_clock::time_point end);
  /// The CA's clock.
  std::chrono::system_clock::time_point now() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culmen
