// One call from names to a certificate: what to ask for, and what comes back.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/csr.hpp"
#include "culmen/onion_caa.hpp"
#include "culmen/order.hpp"
#include "culmen/private_key.hpp"

namespace culmen {

/// A step of issue(), as it happens.
struct IssueProgress {
  enum class Step {
    order_created,     ///< subject: the order's URL.
    order_resumed,     ///< subject: the order's URL.
    already_valid,     ///< subject: the identifier; its authorization was valid before.
    presented,         ///< subject: the identifier.
    triggered,         ///< subject: the identifier.
    validated,         ///< All authorizations are valid.
    key_ready,         ///< subject: the key type.
    finalized,         ///< The CSR was accepted.
    downloaded,        ///< subject: the certificate's URL.
    replaces_dropped,  ///< The CA refused `replaces`; ordered again without it. subject: why.
    cleanup_failed,    ///< subject: the identifier and why. Never fails the issuance.
  };
  IssueProgress(Step step_, std::string subject_) : step(step_), subject(std::move(subject_)) {}
  Step step;
  std::string subject;
};
std::string_view to_string(IssueProgress::Step step) noexcept;

/// What to issue, and how.
struct IssueRequest {
  explicit IssueRequest(std::vector<Identifier> identifiers_) : identifiers(std::move(identifiers_)) {}
  /// Texts: each is an IP address if it reads as one, else a DNS name. Throws Error (invalid_argument).
  explicit IssueRequest(const std::vector<std::string>& names);
  /// The same for a braced list: `client.issue(account, {"example.com", "www.example.com"}, solver)`.
  IssueRequest(std::initializer_list<std::string_view> names);

  /// Duplicates are dropped; an empty list is an error. With `csr` empty they are the CSR's names, in this order.
  std::vector<Identifier> identifiers;

  std::optional<PrivateKey> key;  ///< The certificate's key; a new one of `key_type` otherwise.
  std::string key_type = "ec:P-256";
  CsrOptions csr_options;
  Bytes csr;  ///< A ready CSR in DER; then no key is made.

  std::optional<TimePoint> not_before;
  std::optional<TimePoint> not_after;
  std::string profile;
  std::string replaces;         ///< CertID of the predecessor (RFC 9773); dropped when the CA refuses it.
  std::string preferred_chain;  ///< CN of the topmost issuer; the default chain when none matches.
  std::map<std::string, std::string> ancestor_domains;  ///< As in OrderRequest.
  std::vector<OnionCaa> onion_caa;                      ///< For onion services, when the CA wants it (RFC 9799 §6.4).
  std::string onion_identifier_type = "dns";            ///< As in OrderRequest.
  std::string resume_order;  ///< URL of an order from an earlier run; a new one is made when it is of no use.

  /// For validation and for finalization, each.
  std::chrono::seconds poll_deadline{120};
  /// Authorizations worked at the same time.
  std::size_t width = 12;

  /// Called with the order's URL before anything else is done with it; may block.
  std::function<void(const std::string& order_url)> keep_order;
  /// Called with the key before the request that needs it leaves (never with `csr`); may block. If it throws, nothing
  /// is finalized.
  std::function<void(const PrivateKey& key)> keep_key;
  /// Told each step; must not block.
  std::function<void(const IssueProgress& progress)> on_progress;
};

/// A certificate, just issued. A plain value.
struct IssuedCertificate {
  IssuedCertificate() = default;
  std::string chain_pem;          ///< Leaf first.
  std::optional<PrivateKey> key;  ///< Empty when the request came with a CSR.
  std::vector<Identifier> identifiers;
  Order order;
  CertificateChain chain;
};

}  // namespace culmen
