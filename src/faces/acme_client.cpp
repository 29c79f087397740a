#include "culmen/asio/acme_client.hpp"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "drivers/asio_driver.hpp"
#include "drivers/clock.hpp"
#include "faces/face_helpers.hpp"

namespace asio = boost::asio;

namespace culmen {

class AcmeClient::Impl {
 public:
  Impl(asio::any_io_executor executor, ClientOptions options)
      : driver(std::move(executor), std::move(options.transport), std::move(options.log)) {}
  drivers::AsioDriver driver;
  engine::Session session;
};

AcmeClient::AcmeClient(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}

asio::awaitable<AcmeClient> AcmeClient::connect(std::string directory_url, ClientOptions options) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const SessionOptions session_options = options.session;
  AcmeClient client(std::make_shared<Impl>(executor, std::move(options)));
  auto connecting = client.run(engine::connect(std::move(directory_url), session_options));
  engine::Session session = co_await std::move(connecting);
  client.impl_->session = std::move(session);
  co_return client;
}

void AcmeClient::start_connecting(asio::any_io_executor executor, std::string directory_url, ClientOptions options,
                                  asio::any_completion_handler<void(std::exception_ptr, AcmeClient)> handler) {
  // A coroutine's own default is terminal cancellation only; the verbs take every kind.
  const auto connecting = [](std::string url, ClientOptions how) -> asio::awaitable<AcmeClient> {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    AcmeClient client = co_await connect(std::move(url), std::move(how));
    co_return client;
  };
  asio::co_spawn(executor, connecting(std::move(directory_url), std::move(options)), std::move(handler));
}

Directory AcmeClient::directory() const { return impl_->session.directory(); }
engine::Session AcmeClient::session() const { return impl_->session; }
asio::awaitable<void> AcmeClient::drive(ExecutionBase& execution) const { return impl_->driver.drive(execution); }
void AcmeClient::start(ExecutionBase& execution, asio::any_completion_handler<void(std::exception_ptr)> handler) const {
  impl_->driver.start(execution, std::move(handler));
}
ExecutionBase::Clock AcmeClient::clock() { return &drivers::instant_now; }

Flow<Result<Order>> AcmeClient::finalizing(Account account, Order order, Bytes csr_der,
                                           std::vector<OnionCaa> onion_caa) const {
  return faces::finalize_and_wait(session(), std::move(account), std::move(order), std::move(csr_der),
                                  std::move(onion_caa));
}
Flow<Result<std::string>> AcmeClient::downloading_pem(Account account, std::string certificate_url) const {
  return faces::download_pem(session(), std::move(account), std::move(certificate_url));
}

asio::awaitable<Account> AcmeClient::new_account(AccountKey key, AccountOptions options) const {
  return run(engine::new_account(session(), std::move(key), std::move(options)));
}
asio::awaitable<Account> AcmeClient::find_account(AccountKey key) const {
  return run(engine::find_account(session(), std::move(key)));
}
asio::awaitable<Account> AcmeClient::get_account(Account account) const {
  return run(engine::get_account(session(), std::move(account)));
}
asio::awaitable<Account> AcmeClient::update_account(Account account, std::vector<std::string> contacts) const {
  return run(engine::update_account(session(), std::move(account), std::move(contacts)));
}
asio::awaitable<Account> AcmeClient::key_change(Account account, AccountKey new_key) const {
  return run(engine::key_change(session(), std::move(account), std::move(new_key)));
}
asio::awaitable<Account> AcmeClient::deactivate_account(Account account) const {
  return run(engine::deactivate_account(session(), std::move(account)));
}
asio::awaitable<std::vector<std::string>> AcmeClient::list_orders(Account account) const {
  return run(engine::list_orders(session(), std::move(account)));
}

asio::awaitable<std::vector<std::string>> AcmeClient::list_delegations(Account account) const {
  return run(engine::list_delegations(session(), std::move(account)));
}
asio::awaitable<Delegation> AcmeClient::get_delegation(Account account, std::string delegation_url) const {
  return run(engine::get_delegation(session(), std::move(account), std::move(delegation_url)));
}

asio::awaitable<Order> AcmeClient::new_order(Account account, std::vector<Identifier> identifiers) const {
  return run(engine::new_order(session(), std::move(account), OrderRequest(std::move(identifiers))));
}
asio::awaitable<Order> AcmeClient::new_order(Account account, OrderRequest request) const {
  return run(engine::new_order(session(), std::move(account), std::move(request)));
}
asio::awaitable<Order> AcmeClient::get_order(Account account, std::string order_url) const {
  return run(engine::get_order(session(), std::move(account), std::move(order_url)));
}
asio::awaitable<Order> AcmeClient::poll_order(Account account, std::string order_url,
                                              std::optional<std::chrono::seconds> deadline) const {
  return run(engine::poll_order(session(), std::move(account), std::move(order_url), deadline));
}
asio::awaitable<Order> AcmeClient::finalize(Account account, Order order, Bytes csr_der) const {
  return run(finalizing(std::move(account), std::move(order), std::move(csr_der), {}));
}
asio::awaitable<Order> AcmeClient::finalize(Account account, Order order, Bytes csr_der,
                                            std::vector<OnionCaa> onion_caa) const {
  return run(finalizing(std::move(account), std::move(order), std::move(csr_der), std::move(onion_caa)));
}
asio::awaitable<Order> AcmeClient::poll_certificate(Account account, std::string order_url,
                                                    std::optional<std::chrono::seconds> deadline) const {
  return run(engine::poll_certificate(session(), std::move(account), std::move(order_url), deadline));
}
asio::awaitable<std::string> AcmeClient::download_certificate(Account account, std::string certificate_url) const {
  return run(downloading_pem(std::move(account), std::move(certificate_url)));
}
asio::awaitable<CertificateChain> AcmeClient::download_chain(Account account, std::string certificate_url) const {
  return run(engine::download_chain(session(), std::move(account), std::move(certificate_url)));
}
asio::awaitable<CertificateChain> AcmeClient::download_preferred_chain(Account account, std::string certificate_url,
                                                                       std::string issuer_common_name) const {
  return run(engine::download_preferred_chain(session(), std::move(account), std::move(certificate_url),
                                              std::move(issuer_common_name)));
}
asio::awaitable<CertificateChain> AcmeClient::get_certificate(std::string certificate_url) const {
  return run(engine::get_certificate(std::move(certificate_url)));
}

asio::awaitable<Authorization> AcmeClient::get_authorization(Account account, std::string authorization_url) const {
  return run(engine::get_authorization(session(), std::move(account), std::move(authorization_url)));
}
asio::awaitable<Authorization> AcmeClient::new_authorization(Account account, Identifier identifier,
                                                             bool subdomains) const {
  return run(engine::new_authorization(session(), std::move(account), std::move(identifier), subdomains));
}
asio::awaitable<Authorization> AcmeClient::deactivate_authorization(Account account,
                                                                    std::string authorization_url) const {
  return run(engine::deactivate_authorization(session(), std::move(account), std::move(authorization_url)));
}
asio::awaitable<Authorization> AcmeClient::poll_authorization(Account account, std::string authorization_url,
                                                              std::optional<std::chrono::seconds> deadline) const {
  return run(engine::poll_authorization(session(), std::move(account), std::move(authorization_url), deadline));
}
asio::awaitable<Authorization> AcmeClient::authorize(Account account, std::string authorization_url,
                                                     ChallengeSolver& solver,
                                                     std::optional<std::chrono::seconds> deadline) const {
  return run(engine::authorize(session(), std::move(account), std::move(authorization_url),
                               std::vector<ChallengeSolver*>(1, &solver), deadline));
}
asio::awaitable<Authorization> AcmeClient::authorize(Account account, std::string authorization_url,
                                                     std::vector<ChallengeSolver*> solvers,
                                                     std::optional<std::chrono::seconds> deadline) const {
  return run(
      engine::authorize(session(), std::move(account), std::move(authorization_url), std::move(solvers), deadline));
}
asio::awaitable<Challenge> AcmeClient::trigger_challenge(Account account, Challenge challenge,
                                                         std::string response) const {
  return run(engine::trigger_challenge(session(), std::move(account), std::move(challenge), std::move(response)));
}
asio::awaitable<Challenge> AcmeClient::trigger_challenge_onion(Account account, std::string challenge_url,
                                                               Bytes csr_der) const {
  return run(
      engine::trigger_challenge_onion(session(), std::move(account), std::move(challenge_url), std::move(csr_der)));
}

asio::awaitable<void> AcmeClient::revoke_certificate(Account account, Bytes certificate_der,
                                                     std::optional<int> reason) const {
  return run(engine::revoke_certificate(session(), std::move(account), std::move(certificate_der), reason));
}
asio::awaitable<void> AcmeClient::revoke_certificate_with_cert_key(PrivateKey certificate_key, Bytes certificate_der,
                                                                   std::optional<int> reason) const {
  return run(engine::revoke_certificate_with_cert_key(session(), std::move(certificate_key), std::move(certificate_der),
                                                      reason));
}

asio::awaitable<RenewalInfo> AcmeClient::get_renewal_info(std::string certificate_pem) const {
  return run(engine::get_renewal_info(session(), std::move(certificate_pem)));
}

asio::awaitable<StarOrder> AcmeClient::new_star_order(Account account, StarOrderParams params) const {
  return run(engine::new_star_order(session(), std::move(account), std::move(params)));
}
asio::awaitable<StarOrder> AcmeClient::get_star_order(Account account, std::string order_url) const {
  return run(engine::get_star_order(session(), std::move(account), std::move(order_url)));
}
asio::awaitable<StarOrder> AcmeClient::cancel_star_order(Account account, std::string order_url) const {
  return run(engine::cancel_star_order(session(), std::move(account), std::move(order_url)));
}
asio::awaitable<StarCertificate> AcmeClient::download_star_certificate(Account account, std::string star_url) const {
  return run(engine::download_star_certificate(session(), std::move(account), std::move(star_url)));
}
asio::awaitable<StarCertificate> AcmeClient::get_star_certificate(std::string star_url) const {
  return run(engine::get_star_certificate(std::move(star_url)));
}

asio::awaitable<IssuedCertificate> AcmeClient::issue(Account account, IssueRequest request,
                                                     ChallengeSolver& solver) const {
  return run(
      engine::issue(session(), std::move(account), std::move(request), std::vector<ChallengeSolver*>(1, &solver)));
}
asio::awaitable<IssuedCertificate> AcmeClient::issue(Account account, IssueRequest request,
                                                     std::vector<ChallengeSolver*> solvers) const {
  return run(engine::issue(session(), std::move(account), std::move(request), std::move(solvers)));
}

}  // namespace culmen
