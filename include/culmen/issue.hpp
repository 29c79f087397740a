// The request and the result of issue().
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
#include "culmen/flow.hpp"
#include "culmen/onion_caa.hpp"
#include "culmen/order.hpp"
#include "culmen/private_key.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// A step of issue(), for IssueRequest::on_progress. A plain value.
struct IssueProgress {
  enum class Step {
    order_created,     ///< subject: the order's URL.
    order_resumed,     ///< subject: the order's URL.
    already_valid,     ///< subject: the identifier. Its authorization was already valid.
    presented,         ///< subject: the identifier.
    triggered,         ///< subject: the identifier.
    validated,         ///< All authorizations are valid.
    key_ready,         ///< subject: the key type.
    finalized,         ///< The CSR was accepted.
    downloaded,        ///< subject: the certificate's URL.
    replaces_dropped,  ///< The CA rejected `replaces`; ordered again without it. subject: why.
    cleanup_failed,    ///< subject: the identifier and why. Issuance continues.
    refused,           ///< The certificate is not what was asked for; its order is of no use. subject: why.
  };
  IssueProgress(Step step_, std::string subject_) : step(step_), subject(std::move(subject_)) {}
  Step step;
  std::string subject;
};
std::string_view to_string(IssueProgress::Step step) noexcept;

/// What to issue, and how. A plain value with callbacks.
struct IssueRequest {
  explicit IssueRequest(std::vector<Identifier> identifiers_) : identifiers(std::move(identifiers_)) {}
  /// Each text is an IP address if it parses as one, otherwise a DNS name. Throws Error (invalid_argument).
  explicit IssueRequest(const std::vector<std::string>& names);
  /// The same for a braced list: `IssueRequest request({"example.com", "www.example.com"});`. With GCC 12 not inside a
  /// statement with co_await (see flow.hpp).
  IssueRequest(std::initializer_list<std::string_view> names);

  /// Duplicates are dropped. With `csr`: empty, or the identifiers of the CSR in any order. Otherwise an empty list is
  /// an error (invalid_argument).
  std::vector<Identifier> identifiers;

  std::optional<PrivateKey> key;  ///< The certificate's key; nullopt: a new one of `key_type`.
  std::string key_type = "ec:P-256";
  CsrOptions csr_options;
  Bytes csr;  ///< A CSR in DER; then no key is generated.

  std::optional<TimePoint> not_before;
  std::optional<TimePoint> not_after;
  std::string profile;
  std::string replaces;         ///< CertID of the predecessor (RFC 9773 §5); dropped if the CA rejects it.
  std::string preferred_chain;  ///< Issuer CN of the last certificate; the default chain if none matches.
  std::map<std::string, std::string> ancestor_domains;  ///< As in OrderRequest.
  std::vector<OnionCaa> onion_caa;                      ///< For onion services, if the CA requires it (RFC 9799 §6.4).
  std::string onion_identifier_type = "dns";            ///< As in OrderRequest.
  std::string resume_order;  ///< URL of an order from an earlier run; a new order is created if it cannot be used.

  /// Time limit for validation, and again for finalization; at most ten years.
  std::chrono::seconds poll_deadline{120};
  /// Number of authorizations processed concurrently, 1 to 100.
  std::size_t width = 12;

  // keep_order and keep_key may block and throw: an exception ends issue(). The blocking client calls them on the
  // calling thread, the Asio client on a thread of the client. They may still run after issue() was abandoned together
  // with its client: what they use must outlive that call.

  /// Called with the URL of a new order before anything else is done with it.
  std::function<void(const std::string& order_url)> keep_order;
  /// Called with the key before the order is finalized. Not called if `csr` is given.
  std::function<void(const PrivateKey& key)> keep_key;
  // The same as flows, for a Storage, which asks. Called after keep_order and keep_key; exceptions have the same
  // effect.
  std::function<Flow<Result<void>>(std::string order_url)> store_order;
  std::function<Flow<Result<void>>(PrivateKey key)> store_key;
  /// Called before each request for a new order, with the CertID that it names as its predecessor, or an empty text:
  /// for whoever counts orders. An error or an exception ends issue() before the request is sent.
  std::function<Flow<Result<void>>(std::string replaces)> before_order;
  /// Called at each step, on the thread or strand that runs the flow; must not block. Exceptions are ignored.
  std::function<void(const IssueProgress& progress)> on_progress;
};

/// The result of issue(). A plain value.
struct IssuedCertificate {
  IssuedCertificate() = default;
  std::string chain_pem;          ///< Leaf first.
  std::optional<PrivateKey> key;  ///< nullopt if the request had a CSR.
  std::vector<Identifier> identifiers;
  Order order;
  CertificateChain chain;
  /// What was asked for and the CA did not do: must-staple, the profile, notBefore, notAfter. One sentence each.
  std::vector<std::string> warnings;
};

}  // namespace culmen
