// The awaitable face: AcmeClient for Boost.Asio programs.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

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

namespace culmen {

/// A client of one CA. A shared handle: copies are the same client. Safe to use from several coroutines and threads at
/// once. Every function throws Error. Work runs on the executor that connect() was awaited on; asio cancellation of an
/// awaiting coroutine cancels the operation, and clean-up is still done before it ends.
///
/// What each verb does stands in engine.hpp, next to the section of RFC 8555 it comes from.
class AcmeClient {
 public:
  template <class T>
  using awaitable = boost::asio::awaitable<T>;

  /// No client yet, only room for one: asio::co_spawn() wants that of a result. Use connect().
  AcmeClient() noexcept = default;

  /// Fetches the directory. A short name such as "letsencrypt-staging" will do as well.
  static awaitable<AcmeClient> connect(std::string directory_url, ClientOptions options = {});

  const Directory& directory() const noexcept;

  awaitable<Account> new_account(AccountKey key, AccountOptions options);
  awaitable<Account> find_account(AccountKey key);
  awaitable<Account> get_account(Account account);
  awaitable<Account> update_account(Account account, std::vector<std::string> contacts);
  awaitable<Account> key_change(Account account, AccountKey new_key);
  awaitable<Account> deactivate_account(Account account);
  awaitable<std::vector<std::string>> list_orders(Account account);

  /// Names of others (RFC 9115); see build_delegated_csr().
  awaitable<std::vector<std::string>> list_delegations(Account account);
  awaitable<Delegation> get_delegation(Account account, std::string delegation_url);

  awaitable<Order> new_order(Account account, std::vector<Identifier> identifiers);
  awaitable<Order> new_order(Account account, OrderRequest request);
  awaitable<Order> get_order(Account account, std::string order_url);
  awaitable<Order> poll_order(Account account, std::string order_url,
                              std::optional<std::chrono::seconds> deadline = {});
  /// Posts the CSR and waits until the order is valid.
  awaitable<Order> finalize(Account account, Order order, Bytes csr_der);
  awaitable<std::string> download_certificate(Account account, std::string certificate_url);
  awaitable<CertificateChain> download_chain(Account account, std::string certificate_url);
  awaitable<CertificateChain> download_preferred_chain(Account account, std::string certificate_url,
                                                       std::string issuer_common_name);

  /// By a plain GET (RFC 9115): needs no account.
  awaitable<CertificateChain> get_certificate(std::string certificate_url);

  awaitable<Authorization> get_authorization(Account account, std::string authorization_url);
  awaitable<Authorization> new_authorization(Account account, Identifier identifier);
  awaitable<Authorization> deactivate_authorization(Account account, std::string authorization_url);
  awaitable<Authorization> poll_authorization(Account account, std::string authorization_url,
                                              std::optional<std::chrono::seconds> deadline = {});
  awaitable<Challenge> trigger_challenge(Account account, Challenge challenge, std::string response = "{}");
  awaitable<Challenge> trigger_challenge_onion(Account account, std::string challenge_url, Bytes csr_der);

  awaitable<void> revoke_certificate(Account account, Bytes certificate_der, std::optional<int> reason = {});
  awaitable<void> revoke_certificate_with_cert_key(PrivateKey certificate_key, Bytes certificate_der,
                                                   std::optional<int> reason = {});

  /// Of the first certificate in the PEM text (RFC 9773).
  awaitable<RenewalInfo> get_renewal_info(std::string certificate_pem);

  awaitable<StarOrder> new_star_order(Account account, StarOrderParams params);
  awaitable<StarOrder> get_star_order(Account account, std::string order_url);
  awaitable<StarOrder> cancel_star_order(Account account, std::string order_url);
  awaitable<StarCertificate> download_star_certificate(Account account, std::string star_certificate_url);
  awaitable<StarCertificate> get_star_certificate(std::string star_certificate_url);

  /// From names to a certificate. `solver` must outlive the call.
  awaitable<IssuedCertificate> issue(Account account, IssueRequest request, ChallengeSolver& solver);
  awaitable<IssuedCertificate> issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers);

  /// The session, to run flows of your own with run().
  engine::Session session() const;
  /// Runs a flow of your own (engine.hpp) with this client's transport.
  template <class T>
  awaitable<T> run(Flow<Result<T>> flow) {
    return run_on(*this, std::move(flow));
  }

 private:
  class Impl;
  explicit AcmeClient(std::shared_ptr<Impl> impl) noexcept;
  template <class T>
  static awaitable<T> run_on(AcmeClient self, Flow<Result<T>> flow);
  awaitable<void> drive(ExecutionBase& execution);
  static ExecutionBase::Clock clock();
  std::shared_ptr<Impl> impl_;
};

template <class T>
boost::asio::awaitable<T> AcmeClient::run_on(AcmeClient self, Flow<Result<T>> flow) {
  Execution<Result<T>> execution(std::move(flow), clock());
  co_await self.drive(execution);
  Result<T> result = execution.result();
  co_return std::move(result).value_or_throw();
}

}  // namespace culmen
