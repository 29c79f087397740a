// An ACME CA inside a program, for tests. Never trust its certificates outside of tests.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/http.hpp"
#include "culmen/identifier.hpp"
#include "culmen/timed_response.hpp"

namespace culmen {

/// How the test CA misbehaves. All off by default. A plain value.
struct TestCaFaults {
  int reject_nonces_percent = 0;             ///< Percentage of valid nonces to reject with badNonce.
  int processing_polls = 0;                  ///< After finalize the order is `processing` for this many polls.
  int pending_polls = 0;                     ///< After validation the authorization is pending for this many reads.
  std::optional<std::string> retry_after{};  ///< Sent with orders and authorizations in progress: "2", "date:2" (an
                                             ///< HTTP date 2 s ahead), or any text.
  bool reorder_identifiers = false;          ///< The order lists identifiers and authorizations in another order.
  bool no_location_on_finalize = false;
  bool strange_directory = false;         ///< Null meta fields, unknown members, a decoy key.
  bool odd_links = false;                 ///< Link headers joined, unquoted, relative, with parameters first.
  bool reuse_authorizations = false;      ///< New orders reuse valid authorizations.
  bool empty_authorization_list = false;  ///< Orders without authorizations.
  bool no_orders_list = false;
  bool crlf_chain = false;  ///< CRLF line ends, blank lines and no final newline in chains.
  bool ready_race = false;  ///< The first finalize of a ready order fails with orderNotReady.
  /// A failed validation leaves the challenge and its authorization pending; the challenge gets an `error`, and each
  /// further POST to it validates again (as smallstep's CA does).
  bool failed_challenge_stays_pending = false;

  // Certificates that differ from what was asked for.
  std::vector<std::string> extra_names{};  ///< Certificates also contain these names.
  bool missing_name = false;               ///< Certificates lack the last name of the order.
  bool other_public_key = false;           ///< Certificates are for a new key that nobody has.
  enum class Validity { regular, expired, not_yet_valid, empty };
  Validity validity = Validity::regular;  ///< Of certificates; `empty`: notAfter equals notBefore.

  /// Each order has these authorizations in addition to its own, as many as there are entries. Also names that the
  /// order has or that nobody asked for.
  std::vector<std::string> extra_authorizations{};

  // Requests that are ignored, without an error.
  bool ignore_validity = false;     ///< notBefore and notAfter.
  bool ignore_profile = false;      ///< The profile.
  bool ignore_must_staple = false;  ///< The TLS feature extension of the CSR.
  bool ignore_contacts = false;     ///< The contacts of an account.

  // Percentages of all requests. At most one of these happens to a request; the sum must not exceed 100. With
  // TestCaOptions::seed the choice is reproducible.
  int drop_before_percent = 0;         ///< As TestCaFault::Kind::drop_before.
  int drop_after_percent = 0;          ///< As TestCaFault::Kind::drop_after.
  int server_error_percent = 0;        ///< 500 with a problem document (serverInternal).
  int unavailable_percent = 0;         ///< 503 with an HTML body and Retry-After.
  int rate_limited_percent = 0;        ///< 429 with a problem document (rateLimited) and Retry-After.
  int garbage_percent = 0;             ///< As TestCaFault::Kind::garbage.
  int slow_percent = 0;                ///< As TestCaFault::Kind::slow.
  std::string busy_retry_after = "5";  ///< Retry-After with 503 and 429; as `retry_after`.
  std::chrono::milliseconds slow_delay{20'000};

  /// All of the percentages at once, and badNonce.
  static TestCaFaults everything(int percent_each);
};

/// A fault for one resource, for TestCa::plan(). Affects `times` requests after the first `skip`. A plain value.
struct TestCaFault {
  enum class Kind {
    status,       ///< Respond with `status` and a problem document of `problem_type` (short name; empty: an HTML body).
    drop_before,  ///< Close the connection without processing the request.
    drop_after,   ///< Process the request, then close the connection without a response.
    oversized,    ///< An endless body.
    garbage,      ///< 200 with a body that is not JSON.
    slow,         ///< Process the request, and respond after `delay`.
  };
  TestCaFault(std::string resource_, Kind kind_) : resource(std::move(resource_)), kind(kind_) {}
  /// directory, new-nonce, new-account, account, new-order, order, authz, challenge, finalize, certificate,
  /// revoke-cert, key-change, new-authz, orders, delegations, delegation, renewal-info, star-certificate; or "*".
  std::string resource;
  Kind kind;
  int skip = 0;   ///< Number of requests that pass first.
  int times = 1;  ///< Number of requests affected.
  int status = 500;
  std::string problem_type;
  std::string retry_after;             ///< As in TestCaFaults.
  std::chrono::milliseconds delay{0};  ///< Of `slow`.
};

/// A validation, for TestCaOptions::validate. A plain value.
struct TestCaValidation {
  explicit TestCaValidation(Identifier identifier_) : identifier(std::move(identifier_)) {}
  Identifier identifier;  ///< Without "*."; see `wildcard`.
  bool wildcard = false;
  std::string type;  ///< Of the challenge, such as "http-01".
  std::string token;
  std::string key_authorization;
  std::string account_url;
};

/// A delegation that the test CA offers (RFC 9115). A plain value.
struct TestCaDelegation {
  explicit TestCaDelegation(std::string csr_template_, std::map<std::string, std::string> cname_map_ = {})
      : csr_template(std::move(csr_template_)), cname_map(std::move(cname_map_)) {}
  std::string csr_template;  ///< JSON (RFC 9115 §4).
  std::map<std::string, std::string> cname_map;
};

/// Options of the test CA. A plain value.
struct TestCaOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;   ///< 0: any free port.
  std::uint64_t seed = 0;   ///< 0: random. Otherwise tokens, nonces, serials and choices are reproducible.
  int chain_length = 1;     ///< Number of intermediates in the chain, 0 to 5.
  int alternate_roots = 0;  ///< Number of alternate chains, 0 to 20.
  std::chrono::seconds certificate_lifetime{90 * 24 * 3600};
  std::chrono::seconds order_lifetime{24 * 3600};  ///< Also of pending authorizations.
  std::chrono::seconds authorization_lifetime{30 * 24 * 3600};
  /// In place of the two, for lifetimes that change: called when a certificate is issued, with its names and its
  /// profile ("": none), and when an authorization becomes valid. Called under a lock of the CA: must not call the CA,
  /// and must not throw.
  std::function<std::chrono::seconds(const std::vector<Identifier>&, const std::string&)> certificate_lifetime_of{};
  std::function<std::chrono::seconds()> authorization_lifetime_of{};
  std::chrono::seconds nonce_lifetime{24 * 3600};
  /// Orders, authorizations and certificates are forgotten this long after they have expired. Accounts are kept.
  std::chrono::seconds keep_expired{30 * 24 * 3600};

  /// The CA's clock; empty: the system's. Called on every thread that uses the CA; must not throw.
  std::function<std::chrono::system_clock::time_point()> clock{};
  std::string base_url = "https://test-ca.invalid";  ///< The start of all URLs until start().

  bool external_account_required = false;
  std::map<std::string, Bytes> eab_keys{};  ///< Key ID to MAC key.
  std::string terms_of_service{};           ///< URL; if set, newAccount must agree to it.
  bool pre_authorization = true;
  std::vector<std::string> blocked_names{};  ///< Rejected with rejectedIdentifier; several as subproblems.
  int orders_per_page = 3;
  std::map<std::string, std::string> profiles{};

  std::uint16_t http_port = 80;                  ///< Port for http-01 validation.
  std::uint16_t https_port = 443;                ///< Port for redirects of http-01 to https.
  std::uint16_t tls_port = 443;                  ///< Port for tls-alpn-01 validation.
  bool allow_loopback = true;                    ///< Allow validation of loopback addresses.
  std::map<std::string, std::string> resolve{};  ///< Name (or "*") to address; other names are resolved by the system.
  std::chrono::seconds validation_timeout{5};
  std::string dns_server{};  ///< DNS server for TXT records, such as "127.0.0.1:8053"; empty: DNS
                             ///< challenges are offered but fail.
  bool dns_account = false;  ///< Also offer dns-account-01.
  enum class DnsPersist { off, account_url, account_hash };
  DnsPersist dns_persist = DnsPersist::off;         ///< Offer dns-persist-01 of drafts -00 and -01, or of draft -02.
  std::string issuer_domain = "ca.culmen.example";  ///< This CA in CAA and dns-persist-01 records.
  enum class Onion { off, rfc9799, token };
  Onion onion = Onion::off;         ///< Issue for .onion names, with onion-csr-01 with a nonce or with a token.
  bool onion_type = false;          ///< Use the identifier type "onion" instead of "dns" for .onion names.
  bool onion_caa_required = false;  ///< Finalize requires the CAA records of onion services (RFC 9799 §6.4).
  bool subdomain_auth = false;      ///< Authorizations of a domain also cover its subdomains (RFC 9444).
  /// Public key (PEM) of the trusted token authority, to issue for TNAuthList identifiers (RFC 9448) with tkauth-01;
  /// empty: off.
  std::string token_authority_key{};
  std::string token_authority{};  ///< URL of the token authority in challenges; empty: none.
  bool skip_validation = false;   ///< Accept every challenge without validation.
  /// Validates in place of the network: returns nullopt, or what is wrong. Called during the request that triggers the
  /// challenge, on its thread, possibly on several at once; may call functions of the CA. An exception fails the
  /// validation. Not called for onion-csr-01 and tkauth-01, which need no network.
  std::function<std::optional<std::string>(const TestCaValidation&)> validate{};
  std::chrono::milliseconds validation_delay{0};  ///< On the CA's clock, until the outcome of a validation is visible.
  std::chrono::milliseconds issuance_delay{0};    ///< The same after finalize: meanwhile the order is `processing`.

  bool renewal_info = true;  ///< Offer ARI (RFC 9773).
  std::string renewal_explanation_url{};
  std::chrono::seconds renewal_info_retry_after{21600};

  bool auto_renewal = false;  ///< Offer STAR (RFC 8739), within these limits.
  std::chrono::seconds auto_renewal_min_lifetime{3600};
  std::chrono::seconds auto_renewal_max_duration{365 * 24 * 3600};
  bool auto_renewal_certificate_get = true;

  /// Offered to every account (RFC 9115), `orders_per_page` per page. The test CA is both name owner and CA.
  std::vector<TestCaDelegation> delegations{};
  bool certificate_get = false;  ///< Ordinary orders may request download without an account.

  std::filesystem::path root_file{};  ///< File to write the root certificate to (PEM); empty: none.
  bool verbose = false;               ///< Log each request to standard error.
  TestCaFaults faults{};
};

/// How many objects the test CA holds. A plain value.
struct TestCaSizes {
  std::size_t accounts = 0;
  std::size_t orders = 0;
  std::size_t authorizations = 0;
  std::size_t certificates = 0;
  std::size_t nonces = 0;
};

/// An ACME server (RFC 8555): a function from request to response, handle(), and after start() also an HTTPS server on
/// its own threads. Its TLS certificate and the certificates it issues chain to one root, generated by the constructor.
/// Roots and intermediates are valid for ten years from the construction.
///
/// Without start() it has no sockets and no threads, and everything but its keys is decided by the seed, the clock and
/// the requests. Validation over the network needs start(): use TestCaOptions::validate, skip_validation or
/// force_validation() instead.
///
/// Thread-safe, except that start(), stop() and the destructor must not run at the same time as other functions.
class TestCa {
 public:
  /// Throws Error (invalid_argument) for invalid options.
  explicit TestCa(TestCaOptions options = {});
  /// Stops.
  ~TestCa();
  TestCa(const TestCa&) = delete;
  TestCa& operator=(const TestCa&) = delete;

  /// Binds and serves. Does nothing if it is running. After stop() it uses the same port again. Throws Error
  /// (io_failed).
  void start();
  /// Stops serving; accounts, orders and certificates are kept.
  void stop() noexcept;

  /// Answers one request. The URL must be one of this CA, else connection_failed. A dropped connection is
  /// connection_failed too, an endless body response_too_large. Never waits: a `slow` fault is in TimedResponse::after.
  TimedResponse handle(const HttpRequest& request);

  /// Below TestCaOptions::base_url before start(), below the address and port afterwards.
  std::string directory_url() const;
  /// The root that signed the TLS certificate and the default chain, PEM.
  std::string root_pem() const;
  /// Roots of the alternate chains, PEM.
  std::vector<std::string> alternate_root_pems() const;

  /// Plans a fault for coming requests.
  void plan(TestCaFault fault);
  /// Replaces TestCaOptions::faults. Throws Error (invalid_argument) for names that are not valid and percentages that
  /// exceed 100 together.
  void set_faults(TestCaFaults faults);
  /// Makes all validations of that name succeed or fail without a check; nullopt: validate normally again.
  void force_validation(const std::string& identifier, std::optional<bool> outcome);
  /// Advances the CA's clock, and not the client's, which then rejects new certificates as not yet valid. With a
  /// VirtualClock advance that instead: it is the clock of both.
  void advance_clock(std::chrono::seconds by);
  /// Moves the URLs that the directory lists below `prefix`, such as "/v2"; the old ones answer 404. The directory, and
  /// the URLs of accounts, orders and so on stay. Empty: as at first. Throws Error (invalid_argument) if it does not
  /// start with "/".
  void set_endpoint_prefix(const std::string& prefix);

  /// Requests served, by resource name (as in TestCaFault), and under "total" all of them; "connections" too.
  std::map<std::string, int> request_counts() const;
  void reset_counts();
  TestCaSizes sizes() const;
  /// The leaf of every certificate issued and not forgotten (TestCaOptions::keep_expired), PEM, oldest first.
  std::vector<std::string> issued() const;
  /// Whether the certificate is revoked. Throws Error (crypto_failed) if it cannot be parsed.
  bool is_revoked(const std::string& leaf_pem) const;
  /// Sets the ARI window of that certificate. Throws Error (invalid_argument) if the certificate is not from this CA,
  /// or the window is empty; (crypto_failed) if it cannot be parsed.
  void set_renewal_window(const std::string& leaf_pem, std::chrono::system_clock::time_point start,
                          std::chrono::system_clock::time_point end);
  /// The CA's clock.
  std::chrono::system_clock::time_point now() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culmen
