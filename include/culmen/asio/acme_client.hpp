// The client for Boost.Asio programs.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>

#include "culmen/account.hpp"
#include "culmen/asio/detail/completion.hpp"
#include "culmen/authorization.hpp"
#include "culmen/bytes.hpp"
#include "culmen/csr.hpp"
#include "culmen/delegation.hpp"
#include "culmen/directory.hpp"
#include "culmen/driver.hpp"
#include "culmen/engine.hpp"
#include "culmen/error.hpp"
#include "culmen/issue.hpp"
#include "culmen/onion_caa.hpp"
#include "culmen/options.hpp"
#include "culmen/order.hpp"
#include "culmen/renewal_info.hpp"
#include "culmen/session.hpp"
#include "culmen/solver.hpp"
#include "culmen/star.hpp"

namespace culmen {

/// A client of one CA. A shared handle: copies are the same client. It lives until the last copy is destroyed and every
/// operation has ended. When the executor's context goes first, what runs is dropped without clean-up, and later
/// operations end with Errc::io_failed. Calling functions of an empty handle is undefined.
///
/// Thread safety: every function may be called on several threads and in several coroutines at once. The client runs on
/// a strand of the executor that connect() was awaited on, and so do solvers, on_progress and the log callback.
/// Functions that may block (those of make_solver(), …) run on up to four threads of the client, keep_key and
/// keep_order never behind them. They may still run when the client is gone.
///
/// Each function has two forms. The coroutine, `co_await client.new_order(…)`, throws Error. The function with a
/// completion token, `client.async_new_order(…, token)`, has the signature void(std::exception_ptr, T); the exception
/// is an Error, and the handler, which may be move-only, is called through its associated executor. Arguments that have
/// defaults in the coroutine must be given. Without a token it returns a deferred operation, which a coroutine cannot
/// await with Boost 1.81 (a fault of its awaitable.hpp): use the coroutine form there, or pass use_awaitable.
///
/// GCC 12 rejects braced lists in a statement with co_await ("array used as initializer") and destroys some temporaries
/// there twice: put names, solvers and lambdas into variables first (see flow.hpp).
///
/// Asio cancellation cancels the operation, which ends with Errc::cancelled after its challenges are cleaned up.
///
/// See engine.hpp for what each function does, its errors, and the section of the RFC.
class AcmeClient {
 public:
  template <class T>
  using awaitable = boost::asio::awaitable<T>;

  /// An empty handle, for APIs that require default construction. Use connect().
  AcmeClient() noexcept = default;

  /// Fetches the directory. Short names such as "letsencrypt-staging" are also accepted. Throws Error, also for options
  /// that are not valid (see TransportOptions).
  static awaitable<AcmeClient> connect(std::string directory_url, ClientOptions options = {});
  /// The same with a completion token: void(std::exception_ptr, AcmeClient). The client runs on a strand of `executor`.
  template <class Token = boost::asio::deferred_t>
  static auto async_connect(boost::asio::any_io_executor executor, std::string directory_url, ClientOptions options,
                            Token&& token = Token()) {
    return boost::asio::async_initiate<Token, void(std::exception_ptr, AcmeClient)>(
        [](auto handler, boost::asio::any_io_executor where, std::string url, ClientOptions how) {
          start_connecting(std::move(where), std::move(url), std::move(how), std::move(handler));
        },
        token, std::move(executor), std::move(directory_url), std::move(options));
  }

  /// A copy of the directory as last fetched; see engine::Session.
  Directory directory() const;

  // ---- Coroutines ----

  awaitable<Account> new_account(AccountKey key, AccountOptions options) const;
  awaitable<Account> find_account(AccountKey key) const;
  awaitable<Account> get_account(Account account) const;
  awaitable<Account> update_account(Account account, std::vector<std::string> contacts) const;
  awaitable<Account> key_change(Account account, AccountKey new_key) const;
  awaitable<Account> deactivate_account(Account account) const;
  awaitable<std::vector<std::string>> list_orders(Account account) const;

  /// Delegations (RFC 9115); see build_delegated_csr().
  awaitable<std::vector<std::string>> list_delegations(Account account) const;
  awaitable<Delegation> get_delegation(Account account, std::string delegation_url) const;

  awaitable<Order> new_order(Account account, std::vector<Identifier> identifiers) const;
  awaitable<Order> new_order(Account account, OrderRequest request) const;
  awaitable<Order> get_order(Account account, std::string order_url) const;
  awaitable<Order> poll_order(Account account, std::string order_url,
                              std::optional<std::chrono::seconds> deadline = {}) const;
  /// Posts the CSR and waits until the order is valid.
  awaitable<Order> finalize(Account account, Order order, Bytes csr_der) const;
  /// The same, with the CAA records of onion services (RFC 9799 §6.4).
  awaitable<Order> finalize(Account account, Order order, Bytes csr_der, std::vector<OnionCaa> onion_caa) const;
  awaitable<Order> poll_certificate(Account account, std::string order_url,
                                    std::optional<std::chrono::seconds> deadline = {}) const;
  /// The chain as PEM, leaf first.
  awaitable<std::string> download_certificate(Account account, std::string certificate_url) const;
  awaitable<CertificateChain> download_chain(Account account, std::string certificate_url) const;
  awaitable<CertificateChain> download_preferred_chain(Account account, std::string certificate_url,
                                                       std::string issuer_common_name) const;
  /// By plain GET (RFC 9115 §2.3.5). Needs no account.
  awaitable<CertificateChain> get_certificate(std::string certificate_url) const;

  awaitable<Authorization> get_authorization(Account account, std::string authorization_url) const;
  awaitable<Authorization> new_authorization(Account account, Identifier identifier, bool subdomains = false) const;
  awaitable<Authorization> deactivate_authorization(Account account, std::string authorization_url) const;
  awaitable<Authorization> poll_authorization(Account account, std::string authorization_url,
                                              std::optional<std::chrono::seconds> deadline = {}) const;
  /// Completes an authorization. The solvers must outlive the call.
  awaitable<Authorization> authorize(Account account, std::string authorization_url, ChallengeSolver& solver,
                                     std::optional<std::chrono::seconds> deadline = {}) const;
  awaitable<Authorization> authorize(Account account, std::string authorization_url,
                                     std::vector<ChallengeSolver*> solvers,
                                     std::optional<std::chrono::seconds> deadline = {}) const;
  awaitable<Challenge> trigger_challenge(Account account, Challenge challenge, std::string response = "{}") const;
  awaitable<Challenge> trigger_challenge_onion(Account account, std::string challenge_url, Bytes csr_der) const;

  awaitable<void> revoke_certificate(Account account, Bytes certificate_der, std::optional<int> reason = {}) const;
  awaitable<void> revoke_certificate_with_cert_key(PrivateKey certificate_key, Bytes certificate_der,
                                                   std::optional<int> reason = {}) const;

  /// For the first certificate in the PEM text (RFC 9773).
  awaitable<RenewalInfo> get_renewal_info(std::string certificate_pem) const;

  awaitable<StarOrder> new_star_order(Account account, StarOrderParams params) const;
  awaitable<StarOrder> get_star_order(Account account, std::string order_url) const;
  awaitable<StarOrder> cancel_star_order(Account account, std::string order_url) const;
  awaitable<StarCertificate> download_star_certificate(Account account, std::string star_url) const;
  awaitable<StarCertificate> get_star_certificate(std::string star_url) const;

  /// Issues a certificate. The solvers must outlive the call.
  awaitable<IssuedCertificate> issue(Account account, IssueRequest request, ChallengeSolver& solver) const;
  awaitable<IssuedCertificate> issue(Account account, IssueRequest request,
                                     std::vector<ChallengeSolver*> solvers) const;

  // ---- Functions with a completion token ----

  template <class Token = boost::asio::deferred_t>
  auto async_new_account(AccountKey key, AccountOptions options, Token&& token = Token()) const {
    return initiate(engine::new_account(session(), std::move(key), std::move(options)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_find_account(AccountKey key, Token&& token = Token()) const {
    return initiate(engine::find_account(session(), std::move(key)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_get_account(Account account, Token&& token = Token()) const {
    return initiate(engine::get_account(session(), std::move(account)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_update_account(Account account, std::vector<std::string> contacts, Token&& token = Token()) const {
    return initiate(engine::update_account(session(), std::move(account), std::move(contacts)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_key_change(Account account, AccountKey new_key, Token&& token = Token()) const {
    return initiate(engine::key_change(session(), std::move(account), std::move(new_key)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_deactivate_account(Account account, Token&& token = Token()) const {
    return initiate(engine::deactivate_account(session(), std::move(account)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_list_orders(Account account, Token&& token = Token()) const {
    return initiate(engine::list_orders(session(), std::move(account)), std::forward<Token>(token));
  }

  template <class Token = boost::asio::deferred_t>
  auto async_list_delegations(Account account, Token&& token = Token()) const {
    return initiate(engine::list_delegations(session(), std::move(account)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_get_delegation(Account account, std::string delegation_url, Token&& token = Token()) const {
    return initiate(engine::get_delegation(session(), std::move(account), std::move(delegation_url)),
                    std::forward<Token>(token));
  }

  template <class Token = boost::asio::deferred_t>
  auto async_new_order(Account account, std::vector<Identifier> identifiers, Token&& token = Token()) const {
    return initiate(engine::new_order(session(), std::move(account), OrderRequest(std::move(identifiers))),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_new_order(Account account, OrderRequest request, Token&& token = Token()) const {
    return initiate(engine::new_order(session(), std::move(account), std::move(request)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_get_order(Account account, std::string order_url, Token&& token = Token()) const {
    return initiate(engine::get_order(session(), std::move(account), std::move(order_url)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_poll_order(Account account, std::string order_url, std::optional<std::chrono::seconds> deadline,
                        Token&& token = Token()) const {
    return initiate(engine::poll_order(session(), std::move(account), std::move(order_url), deadline),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_finalize(Account account, Order order, Bytes csr_der, Token&& token = Token()) const {
    return initiate(finalizing(std::move(account), std::move(order), std::move(csr_der), {}),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_finalize(Account account, Order order, Bytes csr_der, std::vector<OnionCaa> onion_caa,
                      Token&& token = Token()) const {
    return initiate(finalizing(std::move(account), std::move(order), std::move(csr_der), std::move(onion_caa)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_poll_certificate(Account account, std::string order_url, std::optional<std::chrono::seconds> deadline,
                              Token&& token = Token()) const {
    return initiate(engine::poll_certificate(session(), std::move(account), std::move(order_url), deadline),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_download_certificate(Account account, std::string certificate_url, Token&& token = Token()) const {
    return initiate(downloading_pem(std::move(account), std::move(certificate_url)), std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_download_chain(Account account, std::string certificate_url, Token&& token = Token()) const {
    return initiate(engine::download_chain(session(), std::move(account), std::move(certificate_url)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_download_preferred_chain(Account account, std::string certificate_url, std::string issuer_common_name,
                                      Token&& token = Token()) const {
    return initiate(engine::download_preferred_chain(session(), std::move(account), std::move(certificate_url),
                                                     std::move(issuer_common_name)),
                    token);
  }
  template <class Token = boost::asio::deferred_t>
  auto async_get_certificate(std::string certificate_url, Token&& token = Token()) const {
    return initiate(engine::get_certificate(std::move(certificate_url)), std::forward<Token>(token));
  }

  template <class Token = boost::asio::deferred_t>
  auto async_get_authorization(Account account, std::string authorization_url, Token&& token = Token()) const {
    return initiate(engine::get_authorization(session(), std::move(account), std::move(authorization_url)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_new_authorization(Account account, Identifier identifier, bool subdomains, Token&& token = Token()) const {
    return initiate(engine::new_authorization(session(), std::move(account), std::move(identifier), subdomains),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_deactivate_authorization(Account account, std::string authorization_url, Token&& token = Token()) const {
    return initiate(engine::deactivate_authorization(session(), std::move(account), std::move(authorization_url)),
                    token);
  }
  template <class Token = boost::asio::deferred_t>
  auto async_poll_authorization(Account account, std::string authorization_url,
                                std::optional<std::chrono::seconds> deadline, Token&& token = Token()) const {
    return initiate(engine::poll_authorization(session(), std::move(account), std::move(authorization_url), deadline),
                    token);
  }
  template <class Token = boost::asio::deferred_t>
  auto async_authorize(Account account, std::string authorization_url, ChallengeSolver& solver,
                       std::optional<std::chrono::seconds> deadline, Token&& token = Token()) const {
    return initiate(engine::authorize(session(), std::move(account), std::move(authorization_url),
                                      std::vector<ChallengeSolver*>(1, &solver), deadline),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_authorize(Account account, std::string authorization_url, std::vector<ChallengeSolver*> solvers,
                       std::optional<std::chrono::seconds> deadline, Token&& token = Token()) const {
    return initiate(
        engine::authorize(session(), std::move(account), std::move(authorization_url), std::move(solvers), deadline),
        std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_trigger_challenge(Account account, Challenge challenge, std::string response,
                               Token&& token = Token()) const {
    return initiate(engine::trigger_challenge(session(), std::move(account), std::move(challenge), std::move(response)),
                    token);
  }
  template <class Token = boost::asio::deferred_t>
  auto async_trigger_challenge_onion(Account account, std::string challenge_url, Bytes csr_der,
                                     Token&& token = Token()) const {
    return initiate(
        engine::trigger_challenge_onion(session(), std::move(account), std::move(challenge_url), std::move(csr_der)),
        token);
  }

  template <class Token = boost::asio::deferred_t>
  auto async_revoke_certificate(Account account, Bytes certificate_der, std::optional<int> reason,
                                Token&& token = Token()) const {
    return initiate(engine::revoke_certificate(session(), std::move(account), std::move(certificate_der), reason),
                    token);
  }
  template <class Token = boost::asio::deferred_t>
  auto async_revoke_certificate_with_cert_key(PrivateKey certificate_key, Bytes certificate_der,
                                              std::optional<int> reason, Token&& token = Token()) const {
    return initiate(engine::revoke_certificate_with_cert_key(session(), std::move(certificate_key),
                                                             std::move(certificate_der), reason),
                    token);
  }

  template <class Token = boost::asio::deferred_t>
  auto async_get_renewal_info(std::string certificate_pem, Token&& token = Token()) const {
    return initiate(engine::get_renewal_info(session(), std::move(certificate_pem)), std::forward<Token>(token));
  }

  template <class Token = boost::asio::deferred_t>
  auto async_new_star_order(Account account, StarOrderParams params, Token&& token = Token()) const {
    return initiate(engine::new_star_order(session(), std::move(account), std::move(params)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_get_star_order(Account account, std::string order_url, Token&& token = Token()) const {
    return initiate(engine::get_star_order(session(), std::move(account), std::move(order_url)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_cancel_star_order(Account account, std::string order_url, Token&& token = Token()) const {
    return initiate(engine::cancel_star_order(session(), std::move(account), std::move(order_url)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_download_star_certificate(Account account, std::string star_url, Token&& token = Token()) const {
    return initiate(engine::download_star_certificate(session(), std::move(account), std::move(star_url)),
                    std::forward<Token>(token));
  }
  template <class Token = boost::asio::deferred_t>
  auto async_get_star_certificate(std::string star_url, Token&& token = Token()) const {
    return initiate(engine::get_star_certificate(std::move(star_url)), std::forward<Token>(token));
  }

  template <class Token = boost::asio::deferred_t>
  auto async_issue(Account account, IssueRequest request, ChallengeSolver& solver, Token&& token = Token()) const {
    return initiate(
        engine::issue(session(), std::move(account), std::move(request), std::vector<ChallengeSolver*>(1, &solver)),
        token);
  }
  template <class Token = boost::asio::deferred_t>
  auto async_issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers,
                   Token&& token = Token()) const {
    return initiate(engine::issue(session(), std::move(account), std::move(request), std::move(solvers)),
                    std::forward<Token>(token));
  }

  // ---- Custom flows ----

  /// The session, for custom flows.
  engine::Session session() const;
  /// Runs a custom flow (see engine.hpp) with this client's transport. Throws the flow's Error, and any exception that
  /// leaves the flow.
  template <class T>
  awaitable<T> run(Flow<Result<T>> flow) const {
    return run_on(*this, std::move(flow));
  }
  template <class T, class Token = boost::asio::deferred_t>
  auto async_run(Flow<Result<T>> flow, Token&& token = Token()) const {
    return initiate(std::move(flow), std::forward<Token>(token));
  }

 private:
  class Impl;
  explicit AcmeClient(std::shared_ptr<Impl> impl) noexcept;
  template <class T>
  static awaitable<T> run_on(AcmeClient self, Flow<Result<T>> flow);
  template <class T, class Token>
  auto initiate(Flow<Result<T>> flow, Token&& token) const {
    return boost::asio::async_initiate<Token, detail::CompletionSignature<T>>(
        [self = *this](auto handler, Flow<Result<T>> started) {
          auto execution = std::make_unique<Execution<Result<T>>>(std::move(started), clock());
          ExecutionBase& driven = *execution;
          self.start(driven, detail::Completion<T>(std::move(execution), std::move(handler)));
        },
        token, std::move(flow));
  }
  static void start_connecting(boost::asio::any_io_executor executor, std::string directory_url, ClientOptions options,
                               boost::asio::any_completion_handler<void(std::exception_ptr, AcmeClient)> handler);
  Flow<Result<Order>> finalizing(Account account, Order order, Bytes csr_der, std::vector<OnionCaa> onion_caa) const;
  Flow<Result<std::string>> downloading_pem(Account account, std::string certificate_url) const;
  void start(ExecutionBase& execution, boost::asio::any_completion_handler<void(std::exception_ptr)> handler) const;
  awaitable<void> drive(ExecutionBase& execution) const;
  static ExecutionBase::Clock clock();
  std::shared_ptr<Impl> impl_;
};

template <class T>
boost::asio::awaitable<T> AcmeClient::run_on(AcmeClient self, Flow<Result<T>> flow) {
  Execution<Result<T>> execution(std::move(flow), clock());
  co_await self.drive(execution);
  Result<T> result = execution.result();
  co_return std::move(result).value();
}

}  // namespace culmen
