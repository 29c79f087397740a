// The blocking client, for programs without an event loop.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/authorization.hpp"
#include "culmen/bytes.hpp"
#include "culmen/cancel_token.hpp"
#include "culmen/csr.hpp"
#include "culmen/delegation.hpp"
#include "culmen/directory.hpp"
#include "culmen/driver.hpp"
#include "culmen/error.hpp"
#include "culmen/issue.hpp"
#include "culmen/onion_caa.hpp"
#include "culmen/options.hpp"
#include "culmen/order.hpp"
#include "culmen/renewal_info.hpp"
#include "culmen/session.hpp"
#include "culmen/solver.hpp"
#include "culmen/star.hpp"

namespace culmen::blocking {

/// A client of one CA. A shared handle: copies are the same client, which lives until the last copy is destroyed.
///
/// Functions with a CancelToken block until they are done, and throw Error. The token cancels the call, which ends with
/// Errc::cancelled after its challenges are cleaned up.
///
/// Thread safety: every function may be called on several threads at once. The client has no threads: solvers and
/// callbacks, including the log callback, run on the thread of the call.
///
/// See engine.hpp for what each function does, its errors, and the section of the RFC.
///
/// Its name is that of the Asio client in culmen: qualify it where both namespaces are used.
class AcmeClient {
 public:
  /// Fetches the directory. Short names such as "letsencrypt-staging" are also accepted. `cancel` cancels this call and
  /// every later call of this client and its copies. Throws Error, also for options that are not valid (see
  /// TransportOptions).
  explicit AcmeClient(std::string directory_url, ClientOptions options = {}, CancelToken cancel = CancelToken::never());

  /// A copy of the directory as last fetched; see engine::Session.
  Directory directory() const;

  Account new_account(AccountKey key, AccountOptions options, CancelToken cancel = CancelToken::never()) const;
  Account find_account(AccountKey key, CancelToken cancel = CancelToken::never()) const;
  Account get_account(Account account, CancelToken cancel = CancelToken::never()) const;
  Account update_account(Account account, std::vector<std::string> contacts,
                         CancelToken cancel = CancelToken::never()) const;
  Account key_change(Account account, AccountKey new_key, CancelToken cancel = CancelToken::never()) const;
  Account deactivate_account(Account account, CancelToken cancel = CancelToken::never()) const;
  std::vector<std::string> list_orders(Account account, CancelToken cancel = CancelToken::never()) const;

  /// Delegations (RFC 9115); see build_delegated_csr().
  std::vector<std::string> list_delegations(Account account, CancelToken cancel = CancelToken::never()) const;
  Delegation get_delegation(Account account, std::string delegation_url,
                            CancelToken cancel = CancelToken::never()) const;

  Order new_order(Account account, std::vector<Identifier> identifiers,
                  CancelToken cancel = CancelToken::never()) const;
  Order new_order(Account account, OrderRequest request, CancelToken cancel = CancelToken::never()) const;
  Order get_order(Account account, std::string order_url, CancelToken cancel = CancelToken::never()) const;
  Order poll_order(Account account, std::string order_url, std::optional<std::chrono::seconds> deadline = {},
                   CancelToken cancel = CancelToken::never()) const;
  /// Posts the CSR and waits until the order is valid.
  Order finalize(Account account, Order order, Bytes csr_der, CancelToken cancel = CancelToken::never()) const;
  /// The same, with the CAA records of onion services (RFC 9799 §6.4).
  Order finalize(Account account, Order order, Bytes csr_der, std::vector<OnionCaa> onion_caa,
                 CancelToken cancel = CancelToken::never()) const;
  Order poll_certificate(Account account, std::string order_url, std::optional<std::chrono::seconds> deadline = {},
                         CancelToken cancel = CancelToken::never()) const;
  /// The chain as PEM, leaf first.
  std::string download_certificate(Account account, std::string certificate_url,
                                   CancelToken cancel = CancelToken::never()) const;
  CertificateChain download_chain(Account account, std::string certificate_url,
                                  CancelToken cancel = CancelToken::never()) const;
  CertificateChain download_preferred_chain(Account account, std::string certificate_url,
                                            std::string issuer_common_name,
                                            CancelToken cancel = CancelToken::never()) const;
  /// By a plain GET (RFC 9115): needs no account.
  CertificateChain get_certificate(std::string certificate_url, CancelToken cancel = CancelToken::never()) const;

  Authorization get_authorization(Account account, std::string authorization_url,
                                  CancelToken cancel = CancelToken::never()) const;
  Authorization new_authorization(Account account, Identifier identifier, bool subdomains = false,
                                  CancelToken cancel = CancelToken::never()) const;
  Authorization deactivate_authorization(Account account, std::string authorization_url,
                                         CancelToken cancel = CancelToken::never()) const;
  Authorization poll_authorization(Account account, std::string authorization_url,
                                   std::optional<std::chrono::seconds> deadline = {},
                                   CancelToken cancel = CancelToken::never()) const;
  /// Completes an authorization. The solvers must outlive the call.
  Authorization authorize(Account account, std::string authorization_url, ChallengeSolver& solver,
                          std::optional<std::chrono::seconds> deadline = {},
                          CancelToken cancel = CancelToken::never()) const;
  Authorization authorize(Account account, std::string authorization_url, std::vector<ChallengeSolver*> solvers,
                          std::optional<std::chrono::seconds> deadline = {},
                          CancelToken cancel = CancelToken::never()) const;
  Challenge trigger_challenge(Account account, Challenge challenge, std::string response = "{}",
                              CancelToken cancel = CancelToken::never()) const;
  Challenge trigger_challenge_onion(Account account, std::string challenge_url, Bytes csr_der,
                                    CancelToken cancel = CancelToken::never()) const;

  void revoke_certificate(Account account, Bytes certificate_der, std::optional<int> reason = {},
                          CancelToken cancel = CancelToken::never()) const;
  void revoke_certificate_with_cert_key(PrivateKey certificate_key, Bytes certificate_der,
                                        std::optional<int> reason = {},
                                        CancelToken cancel = CancelToken::never()) const;

  /// For the first certificate in the PEM text (RFC 9773).
  RenewalInfo get_renewal_info(std::string certificate_pem, CancelToken cancel = CancelToken::never()) const;

  StarOrder new_star_order(Account account, StarOrderParams params, CancelToken cancel = CancelToken::never()) const;
  StarOrder get_star_order(Account account, std::string order_url, CancelToken cancel = CancelToken::never()) const;
  StarOrder cancel_star_order(Account account, std::string order_url, CancelToken cancel = CancelToken::never()) const;
  StarCertificate download_star_certificate(Account account, std::string star_url,
                                            CancelToken cancel = CancelToken::never()) const;
  StarCertificate get_star_certificate(std::string star_url, CancelToken cancel = CancelToken::never()) const;

  /// Issues a certificate. The solvers must outlive the call.
  IssuedCertificate issue(Account account, IssueRequest request, ChallengeSolver& solver,
                          CancelToken cancel = CancelToken::never()) const;
  IssuedCertificate issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers,
                          CancelToken cancel = CancelToken::never()) const;

  /// Cancels the calls in progress on all threads; later calls are not affected. Safe in a signal handler, as long as
  /// this client is not destroyed meanwhile.
  void cancel() const noexcept;

  /// The session, for custom flows.
  engine::Session session() const;
  /// Runs a custom flow (see engine.hpp) with this client's transport. Throws the flow's Error, and any exception that
  /// leaves the flow.
  template <class T>
  T run(Flow<Result<T>> flow, CancelToken cancel = CancelToken::never()) const {
    Execution<Result<T>> execution(std::move(flow), clock());
    drive(execution, std::move(cancel));
    return execution.result().value();
  }

 private:
  class Impl;
  void drive(ExecutionBase& execution, CancelToken cancel) const;
  static ExecutionBase::Clock clock();
  std::shared_ptr<Impl> impl_;
};

}  // namespace culmen::blocking
