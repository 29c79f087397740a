// The blocking face: AcmeClient for programs without an event loop.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/authorization.hpp"
#include "culmen/bytes.hpp"
#include "culmen/csr.hpp"
#include "culmen/delegation.hpp"
#include "culmen/directory.hpp"
#include "culmen/driver.hpp"
#include "culmen/error.hpp"
#include "culmen/issue.hpp"
#include "culmen/options.hpp"
#include "culmen/order.hpp"
#include "culmen/renewal_info.hpp"
#include "culmen/session.hpp"
#include "culmen/solver.hpp"
#include "culmen/star.hpp"

namespace culmen::blocking {

/// A client of one CA. A shared handle: copies are the same client. Safe to use from several threads at once; no thread
/// of its own. Every function blocks until done and throws Error.
///
/// What each verb does stands in engine.hpp, next to the section of RFC 8555 it comes from.
class AcmeClient {
 public:
  // The plain values, whatever else has these names in this namespace (account.hpp, directory.hpp, …, beside this
  // file).
  using Account = culmen::Account;
  using Challenge = culmen::Challenge;
  using Directory = culmen::Directory;

  /// Fetches the directory. A short name such as "letsencrypt-staging" will do as well.
  explicit AcmeClient(std::string directory_url, ClientOptions options = {});

  const Directory& directory() const noexcept;

  Account new_account(AccountKey key, AccountOptions options);
  Account find_account(AccountKey key);
  Account get_account(Account account);
  Account update_account(Account account, std::vector<std::string> contacts);
  Account key_change(Account account, AccountKey new_key);
  Account deactivate_account(Account account);
  std::vector<std::string> list_orders(Account account);

  /// Names of others (RFC 9115); see build_delegated_csr().
  std::vector<std::string> list_delegations(Account account);
  Delegation get_delegation(Account account, std::string delegation_url);

  Order new_order(Account account, std::vector<Identifier> identifiers);
  Order new_order(Account account, OrderRequest request);
  Order get_order(Account account, std::string order_url);
  Order poll_order(Account account, std::string order_url, std::optional<std::chrono::seconds> deadline = {});
  /// Posts the CSR and waits until the order is valid.
  Order finalize(Account account, Order order, Bytes csr_der);
  std::string download_certificate(Account account, std::string certificate_url);
  CertificateChain download_chain(Account account, std::string certificate_url);
  CertificateChain download_preferred_chain(Account account, std::string certificate_url,
                                            std::string issuer_common_name);

  /// By a plain GET (RFC 9115): needs no account.
  CertificateChain get_certificate(std::string certificate_url);

  Authorization get_authorization(Account account, std::string authorization_url);
  Authorization new_authorization(Account account, Identifier identifier);
  Authorization deactivate_authorization(Account account, std::string authorization_url);
  Authorization poll_authorization(Account account, std::string authorization_url,
                                   std::optional<std::chrono::seconds> deadline = {});
  Challenge trigger_challenge(Account account, Challenge challenge, std::string response = "{}");
  Challenge trigger_challenge_onion(Account account, std::string challenge_url, Bytes csr_der);

  void revoke_certificate(Account account, Bytes certificate_der, std::optional<int> reason = {});
  void revoke_certificate_with_cert_key(PrivateKey certificate_key, Bytes certificate_der,
                                        std::optional<int> reason = {});

  /// Of the first certificate in the PEM text (RFC 9773).
  RenewalInfo get_renewal_info(std::string certificate_pem);

  StarOrder new_star_order(Account account, StarOrderParams params);
  StarOrder get_star_order(Account account, std::string order_url);
  StarOrder cancel_star_order(Account account, std::string order_url);
  StarCertificate download_star_certificate(Account account, std::string star_certificate_url);
  StarCertificate get_star_certificate(std::string star_certificate_url);

  /// From names to a certificate. `solver` must outlive the call.
  IssuedCertificate issue(Account account, IssueRequest request, ChallengeSolver& solver);
  IssuedCertificate issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers);

  /// Cancels every call in progress, of this and all later calls: each ends with Errc::cancelled once its clean-up is
  /// done. Safe from any thread and from a signal handler.
  void cancel() noexcept;

  /// The session, to run flows of your own with run().
  engine::Session session() const;
  /// Runs a flow of your own (engine.hpp) with this client's transport.
  template <class T>
  T run(Flow<Result<T>> flow) {
    Execution<Result<T>> execution(std::move(flow), clock());
    drive(execution);
    return execution.result().value_or_throw();
  }

 private:
  class Impl;
  void drive(ExecutionBase& execution);
  static ExecutionBase::Clock clock();
  std::shared_ptr<Impl> impl_;
};

}  // namespace culmen::blocking
