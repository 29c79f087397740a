#include "culmen/blocking/acme_client.hpp"

#include <utility>

#include "culmen/engine.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"
#include "faces/face_helpers.hpp"

namespace culmen::blocking {

class AcmeClient::Impl {
 public:
  Impl(ClientOptions options, CancelToken cancel)
      : driver(std::move(options.transport), std::move(options.log)), client_cancel(std::move(cancel)) {}
  drivers::BlockingDriver driver;
  const CancelToken client_cancel;
  engine::Session session;
};

AcmeClient::AcmeClient(std::string directory_url, ClientOptions options, CancelToken cancel) {
  const SessionOptions session = options.session;
  impl_ = std::make_shared<Impl>(std::move(options), std::move(cancel));
  impl_->session = run(engine::connect(std::move(directory_url), session));
}

Directory AcmeClient::directory() const { return impl_->session.directory(); }
engine::Session AcmeClient::session() const { return impl_->session; }
void AcmeClient::cancel() const noexcept { impl_->driver.cancel(); }
void AcmeClient::drive(ExecutionBase& execution, CancelToken cancel) const {
  impl_->driver.drive(execution, {impl_->client_cancel, std::move(cancel)});
}
ExecutionBase::Clock AcmeClient::clock() { return &drivers::instant_now; }

Account AcmeClient::new_account(AccountKey key, AccountOptions options, CancelToken cancel) const {
  return run(engine::new_account(session(), std::move(key), std::move(options)), std::move(cancel));
}
Account AcmeClient::find_account(AccountKey key, CancelToken cancel) const {
  return run(engine::find_account(session(), std::move(key)), std::move(cancel));
}
Account AcmeClient::get_account(Account account, CancelToken cancel) const {
  return run(engine::get_account(session(), std::move(account)), std::move(cancel));
}
Account AcmeClient::update_account(Account account, std::vector<std::string> contacts, CancelToken cancel) const {
  return run(engine::update_account(session(), std::move(account), std::move(contacts)), std::move(cancel));
}
Account AcmeClient::key_change(Account account, AccountKey new_key, CancelToken cancel) const {
  return run(engine::key_change(session(), std::move(account), std::move(new_key)), std::move(cancel));
}
Account AcmeClient::deactivate_account(Account account, CancelToken cancel) const {
  return run(engine::deactivate_account(session(), std::move(account)), std::move(cancel));
}
std::vector<std::string> AcmeClient::list_orders(Account account, CancelToken cancel) const {
  return run(engine::list_orders(session(), std::move(account)), std::move(cancel));
}

std::vector<std::string> AcmeClient::list_delegations(Account account, CancelToken cancel) const {
  return run(engine::list_delegations(session(), std::move(account)), std::move(cancel));
}
Delegation AcmeClient::get_delegation(Account account, std::string delegation_url, CancelToken cancel) const {
  return run(engine::get_delegation(session(), std::move(account), std::move(delegation_url)), std::move(cancel));
}

Order AcmeClient::new_order(Account account, std::vector<Identifier> identifiers, CancelToken cancel) const {
  return run(engine::new_order(session(), std::move(account), OrderRequest(std::move(identifiers))), std::move(cancel));
}
Order AcmeClient::new_order(Account account, OrderRequest request, CancelToken cancel) const {
  return run(engine::new_order(session(), std::move(account), std::move(request)), std::move(cancel));
}
Order AcmeClient::get_order(Account account, std::string order_url, CancelToken cancel) const {
  return run(engine::get_order(session(), std::move(account), std::move(order_url)), std::move(cancel));
}
Order AcmeClient::poll_order(Account account, std::string order_url, std::optional<std::chrono::seconds> deadline,
                             CancelToken cancel) const {
  return run(engine::poll_order(session(), std::move(account), std::move(order_url), deadline), std::move(cancel));
}
Order AcmeClient::finalize(Account account, Order order, Bytes csr_der, CancelToken cancel) const {
  return run(faces::finalize_and_wait(session(), std::move(account), std::move(order), std::move(csr_der), {}),
             std::move(cancel));
}
Order AcmeClient::finalize(Account account, Order order, Bytes csr_der, std::vector<OnionCaa> onion_caa,
                           CancelToken cancel) const {
  return run(faces::finalize_and_wait(session(), std::move(account), std::move(order), std::move(csr_der),
                                      std::move(onion_caa)),
             std::move(cancel));
}
Order AcmeClient::poll_certificate(Account account, std::string order_url, std::optional<std::chrono::seconds> deadline,
                                   CancelToken cancel) const {
  return run(engine::poll_certificate(session(), std::move(account), std::move(order_url), deadline),
             std::move(cancel));
}
std::string AcmeClient::download_certificate(Account account, std::string certificate_url, CancelToken cancel) const {
  return run(faces::download_pem(session(), std::move(account), std::move(certificate_url)), std::move(cancel));
}
CertificateChain AcmeClient::download_chain(Account account, std::string certificate_url, CancelToken cancel) const {
  return run(engine::download_chain(session(), std::move(account), std::move(certificate_url)), std::move(cancel));
}
CertificateChain AcmeClient::download_preferred_chain(Account account, std::string certificate_url,
                                                      std::string issuer_common_name, CancelToken cancel) const {
  return run(engine::download_preferred_chain(session(), std::move(account), std::move(certificate_url),
                                              std::move(issuer_common_name)),
             std::move(cancel));
}
CertificateChain AcmeClient::get_certificate(std::string certificate_url, CancelToken cancel) const {
  return run(engine::get_certificate(std::move(certificate_url)), std::move(cancel));
}

Authorization AcmeClient::get_authorization(Account account, std::string authorization_url, CancelToken cancel) const {
  return run(engine::get_authorization(session(), std::move(account), std::move(authorization_url)), std::move(cancel));
}
Authorization AcmeClient::new_authorization(Account account, Identifier identifier, bool subdomains,
                                            CancelToken cancel) const {
  return run(engine::new_authorization(session(), std::move(account), std::move(identifier), subdomains),
             std::move(cancel));
}
Authorization AcmeClient::deactivate_authorization(Account account, std::string authorization_url,
                                                   CancelToken cancel) const {
  return run(engine::deactivate_authorization(session(), std::move(account), std::move(authorization_url)),
             std::move(cancel));
}
Authorization AcmeClient::poll_authorization(Account account, std::string authorization_url,
                                             std::optional<std::chrono::seconds> deadline, CancelToken cancel) const {
  return run(engine::poll_authorization(session(), std::move(account), std::move(authorization_url), deadline),
             std::move(cancel));
}
Authorization AcmeClient::authorize(Account account, std::string authorization_url, ChallengeSolver& solver,
                                    std::optional<std::chrono::seconds> deadline, CancelToken cancel) const {
  return authorize(std::move(account), std::move(authorization_url), std::vector<ChallengeSolver*>(1, &solver),
                   deadline, std::move(cancel));
}
Authorization AcmeClient::authorize(Account account, std::string authorization_url,
                                    std::vector<ChallengeSolver*> solvers, std::optional<std::chrono::seconds> deadline,
                                    CancelToken cancel) const {
  return run(
      engine::authorize(session(), std::move(account), std::move(authorization_url), std::move(solvers), deadline),
      std::move(cancel));
}
Challenge AcmeClient::trigger_challenge(Account account, Challenge challenge, std::string response,
                                        CancelToken cancel) const {
  return run(engine::trigger_challenge(session(), std::move(account), std::move(challenge), std::move(response)),
             std::move(cancel));
}
Challenge AcmeClient::trigger_challenge_onion(Account account, std::string challenge_url, Bytes csr_der,
                                              CancelToken cancel) const {
  return run(
      engine::trigger_challenge_onion(session(), std::move(account), std::move(challenge_url), std::move(csr_der)),
      std::move(cancel));
}

void AcmeClient::revoke_certificate(Account account, Bytes certificate_der, std::optional<int> reason,
                                    CancelToken cancel) const {
  run(engine::revoke_certificate(session(), std::move(account), std::move(certificate_der), reason), std::move(cancel));
}
void AcmeClient::revoke_certificate_with_cert_key(PrivateKey certificate_key, Bytes certificate_der,
                                                  std::optional<int> reason, CancelToken cancel) const {
  run(engine::revoke_certificate_with_cert_key(session(), std::move(certificate_key), std::move(certificate_der),
                                               reason),
      std::move(cancel));
}

RenewalInfo AcmeClient::get_renewal_info(std::string certificate_pem, CancelToken cancel) const {
  return run(engine::get_renewal_info(session(), std::move(certificate_pem)), std::move(cancel));
}

StarOrder AcmeClient::new_star_order(Account account, StarOrderParams params, CancelToken cancel) const {
  return run(engine::new_star_order(session(), std::move(account), std::move(params)), std::move(cancel));
}
StarOrder AcmeClient::get_star_order(Account account, std::string order_url, CancelToken cancel) const {
  return run(engine::get_star_order(session(), std::move(account), std::move(order_url)), std::move(cancel));
}
StarOrder AcmeClient::cancel_star_order(Account account, std::string order_url, CancelToken cancel) const {
  return run(engine::cancel_star_order(session(), std::move(account), std::move(order_url)), std::move(cancel));
}
StarCertificate AcmeClient::download_star_certificate(Account account, std::string star_url, CancelToken cancel) const {
  return run(engine::download_star_certificate(session(), std::move(account), std::move(star_url)), std::move(cancel));
}
StarCertificate AcmeClient::get_star_certificate(std::string star_url, CancelToken cancel) const {
  return run(engine::get_star_certificate(std::move(star_url)), std::move(cancel));
}

IssuedCertificate AcmeClient::issue(Account account, IssueRequest request, ChallengeSolver& solver,
                                    CancelToken cancel) const {
  return run(
      engine::issue(session(), std::move(account), std::move(request), std::vector<ChallengeSolver*>(1, &solver)),
      std::move(cancel));
}
IssuedCertificate AcmeClient::issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers,
                                    CancelToken cancel) const {
  return run(engine::issue(session(), std::move(account), std::move(request), std::move(solvers)), std::move(cancel));
}

}  // namespace culmen::blocking
