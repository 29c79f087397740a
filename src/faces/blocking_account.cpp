#include "culmen/blocking/account.hpp"

#include <algorithm>
#include <utility>

#include "culmen/blocking/order.hpp"
#include "engine/orders.hpp"
#include "faces/pending_order.hpp"

namespace culmen::blocking {

namespace {

const engine::PollOptions unhurried(std::chrono::seconds(1), std::chrono::seconds(120));

/// The CA does not know the order or denies access: it deleted the order, or is a different CA.
bool is_not_there(const Error& error) { return error.problem() && !is_worth_retrying(error); }

}  // namespace

AccountHandle::AccountHandle(AcmeClient client, std::shared_ptr<Persist> persist, std::string realm, Account account)
    : client_(std::move(client)),
      persist_(std::move(persist)),
      realm_(std::move(realm)),
      account_(std::move(account)),
      pending_mutex_(std::make_shared<std::mutex>()) {}

NewOrder AccountHandle::new_order(const std::string& primary_name, const std::vector<std::string>& alt_names,
                                  CancelToken cancel) const {
  std::vector<Identifier> identifiers(1, Identifier::parse(primary_name));
  for (const std::string& name : alt_names) {
    Identifier identifier = Identifier::parse(name);
    if (std::ranges::find(identifiers, identifier) == identifiers.end()) identifiers.push_back(std::move(identifier));
  }
  Order order = client_.new_order(account_, identifiers, std::move(cancel));
  return NewOrder(*this, primary_name, std::move(identifiers), std::move(order));
}

std::optional<CertificateWithKey> AccountHandle::certificate(const std::string& primary_name) const {
  std::optional<PersistedCertificate> stored = persist_->get_certificate(realm_, primary_name);
  if (!stored) return std::nullopt;
  CertificateWithKey certificate(std::move(stored->private_key), std::move(stored->certificate));
  if (!certificate.is_matching()) return std::nullopt;
  return certificate;
}

std::optional<CertOrder> AccountHandle::unsaved_order(const std::string& primary_name, CancelToken cancel) const {
  for (const faces::PendingOrder& pending : faces::find_pending_orders(*persist_, realm_, primary_name)) {
    if (faces::is_saved(*persist_, realm_, primary_name, pending.key)) continue;
    try {
      Order order = client_.get_order(account_, pending.order_url, cancel);
      if (order.status == OrderStatus::processing) {
        order =
            client_.run(engine::await_certificate(client_.session(), account_, std::move(order), unhurried), cancel);
      }
      if (order.status == OrderStatus::valid) return CertOrder(*this, primary_name, std::move(order), pending.key);
    } catch (const Error& error) {
      if (error.code() == Errc::order_invalid || is_not_there(error)) continue;
      throw error.while_doing("looking for the unsaved order of " + printable(primary_name, 260));
    }
  }
  return std::nullopt;
}

void AccountHandle::revoke_certificate(const CertificateWithKey& certificate, std::optional<int> reason,
                                       CancelToken cancel) const {
  client_.revoke_certificate(account_, certificate.certificate_der(), reason, std::move(cancel));
}

}  // namespace culmen::blocking
