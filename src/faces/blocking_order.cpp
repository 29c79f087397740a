#include "culmen/blocking/order.hpp"

#include <algorithm>
#include <utility>

#include "culmen/csr.hpp"
#include "culmen/engine.hpp"
#include "drivers/clock.hpp"
#include "engine/check_certificate.hpp"
#include "engine/orders.hpp"
#include "faces/pending_order.hpp"

namespace culmen::blocking {

namespace {

using std::chrono::milliseconds;

Result<void> check_issued(const CertificateChain& chain, const Order& order, const PrivateKey& key) {
  IssueRequest asked(order.identifiers);
  asked.key = key;
  return engine::check_certificate(asked, chain, drivers::instant_now().wall);
}

constexpr std::size_t width = 12;  // authorizations looked at side by side

Flow<Result<std::vector<Authorization>>> get_authorizations(engine::Session session, Account account,
                                                            std::vector<std::string> urls) {
  std::vector<Flow<Result<Authorization>>> looks;
  for (const std::string& url : urls) looks.push_back(engine::get_authorization(session, account, url));
  std::vector<Result<Authorization>> seen = co_await all(std::move(looks), width);
  std::vector<Authorization> authorizations;
  for (Result<Authorization>& authorization : seen) {
    if (!authorization) co_return authorization.error();
    authorizations.push_back(std::move(*authorization));
  }
  co_return authorizations;
}

bool was_finalized(const Order& order) {
  return order.status == OrderStatus::processing || order.status == OrderStatus::valid;
}

Flow<Result<void>> let_pass(milliseconds duration) { co_return co_await wait(duration); }

}  // namespace

// ---- NewOrder ----

NewOrder::NewOrder(AccountHandle account, std::string primary_name, std::vector<Identifier> identifiers, Order order)
    : account_(std::move(account)),
      primary_name_(std::move(primary_name)),
      identifiers_(std::move(identifiers)),
      order_(std::move(order)) {}

std::optional<CsrOrder> NewOrder::confirm_validations() const {
  if (!is_validated()) return std::nullopt;
  return CsrOrder(account_, primary_name_, identifiers_, order_);
}

bool NewOrder::is_validated() const noexcept {
  // RFC 8555 §7.1.6: an order is ready, processing or valid only after all of its authorizations are valid.
  return order_.status == OrderStatus::ready || was_finalized(order_);
}

void NewOrder::refresh(CancelToken cancel) {
  const AcmeClient& client = account_.client();
  const milliseconds pause = engine::refresh_pause(backoff_, order_.retry_after);
  if (pause > milliseconds(0)) client.run(let_pass(pause), cancel);

  Order fresh = client.get_order(account_.api_account(), order_.url, cancel);
  const bool is_over = fresh.status == OrderStatus::invalid || fresh.status == OrderStatus::canceled;
  // It knows the authorizations' problems too, and throws.
  if (is_over) client.poll_order(account_.api_account(), order_.url, std::nullopt, cancel);
  backoff_ = engine::next_refresh_backoff(backoff_, fresh.status != order_.status);
  order_ = std::move(fresh);
}

std::vector<Auth> NewOrder::authorizations(CancelToken cancel) const {
  const AcmeClient& client = account_.client();
  const IssueRequest asked(identifiers_);
  engine::check_number_of_authorizations(asked, order_).value();
  std::vector<Auth> authorizations;
  for (Authorization& authorization :
       client.run(get_authorizations(client.session(), account_.api_account(), order_.authorizations), cancel)) {
    // A CA does not choose the names that the caller answers challenges for.
    if (authorization.status != AuthorizationStatus::valid) engine::check_authorization(asked, authorization).value();
    authorizations.emplace_back(account_, std::move(authorization));
  }
  return authorizations;
}

// ---- CsrOrder ----

CsrOrder::CsrOrder(AccountHandle account, std::string primary_name, std::vector<Identifier> identifiers, Order order)
    : account_(std::move(account)),
      primary_name_(std::move(primary_name)),
      identifiers_(std::move(identifiers)),
      order_(std::move(order)) {}

CertOrder CsrOrder::finalize_pkey(PrivateKey key, milliseconds delay, std::chrono::seconds limit,
                                  CancelToken cancel) const {
  if (was_finalized(order_)) {
    throw Error(Errc::invalid_argument, "finalizing the order",
                "it was finalized before, with another key: its certificate is that of unsaved_order(), or make a new "
                "order");
  }
  Bytes csr = build_csr(identifiers_, key);
  {
    // From here on the CA may issue a certificate for this key, even if this process ends.
    const std::lock_guard lock(account_.pending_mutex());
    faces::keep_pending_order(account_.persist(), account_.realm(), primary_name_,
                              faces::PendingOrder(order_.url, key));
  }
  const AcmeClient& client = account_.client();
  Order order = client.run(engine::finalize_and_wait(client.session(), account_.api_account(), order_, std::move(csr),
                                                     {}, engine::PollOptions(delay, limit)),
                           std::move(cancel));
  order.identifiers = identifiers_;  // not what the CA shows: the certificate is compared with them
  return CertOrder(account_, primary_name_, std::move(order), std::move(key));
}

CertOrder CsrOrder::finalize(std::string_view private_key_pem, milliseconds delay, std::chrono::seconds limit,
                             CancelToken cancel) const {
  return finalize_pkey(PrivateKey::from_pem(private_key_pem), delay, limit, std::move(cancel));
}

// ---- CertOrder ----

CertOrder::CertOrder(AccountHandle account, std::string primary_name, Order order, PrivateKey key)
    : account_(std::move(account)),
      primary_name_(std::move(primary_name)),
      order_(std::move(order)),
      key_(std::move(key)) {}

CertificateWithKey CertOrder::download_cert(CancelToken cancel) const {
  const AcmeClient& client = account_.client();
  const CertificateChain chain = client.download_chain(account_.api_account(), order_.certificate, std::move(cancel));
  check_issued(chain, order_, key_).value();
  CertificateWithKey certificate(key_.to_pem(), chain.pem);
  return certificate;
}

CertificateWithKey CertOrder::download_and_save_cert(CancelToken cancel) const {
  const AcmeClient& client = account_.client();
  const CertificateChain chain = client.download_chain(account_.api_account(), order_.certificate, std::move(cancel));
  const Result<void> checked = check_issued(chain, order_, key_);
  const std::lock_guard lock(account_.pending_mutex());
  if (!checked) {
    // Otherwise unsaved_order() would find it again and again.
    faces::drop_pending_order(account_.persist(), account_.realm(), primary_name_, order_.url);
    throw checked.error();
  }
  CertificateWithKey certificate(key_.to_pem(), chain.pem);
  const PersistedCertificate stored(certificate.private_key(), certificate.certificate());
  account_.persist().put_certificate(account_.realm(), primary_name_, stored);
  faces::forget_pending_order(account_.persist(), account_.realm(), primary_name_, order_.url);
  return certificate;
}

}  // namespace culmen::blocking
