#include "culmen/tls_alpn01_solver.hpp"

#include <utility>

#include <boost/asio/this_coro.hpp>

#include "culmen/error.hpp"
#include "listen/tls_alpn_responder.hpp"

namespace culmen {

TlsAlpn01Solver::TlsAlpn01Solver(std::uint16_t port, std::string address)
    : wanted_port_(port), address_(std::move(address)), responder_(std::make_shared<listen::TlsAlpnResponder>()) {}

TlsAlpn01Solver::~TlsAlpn01Solver() { cleanup(); }

boost::asio::awaitable<void> TlsAlpn01Solver::start() {
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  responder_->start(executor, wanted_port_, address_);
}

void TlsAlpn01Solver::start_thread() { responder_->start_thread(wanted_port_, address_); }
std::uint16_t TlsAlpn01Solver::port() const noexcept { return responder_->port(); }

boost::asio::awaitable<void> TlsAlpn01Solver::present(std::string domain, std::string id_type,
                                                      std::string key_authorization) {
  add(domain, id_type, key_authorization);
  co_return;
}

void TlsAlpn01Solver::add(std::string_view domain, std::string_view id_type, std::string_view key_authorization) {
  responder_->add(Identifier(std::string(id_type), std::string(domain)), key_authorization);
}

void TlsAlpn01Solver::remove(std::string_view domain, std::string_view id_type) {
  responder_->remove(Identifier(std::string(id_type), std::string(domain)));
}

void TlsAlpn01Solver::cleanup() noexcept {
  responder_->stop();
  responder_->clear();
}

bool TlsAlpn01Solver::can_solve(const Identifier& identifier, bool wildcard) const {
  // RFC 8737 §3: "The tls-alpn-01 challenge cannot be used to validate wildcard" names.
  return !wildcard && (identifier.type == "dns" || identifier.type == "ip");
}

Flow<Result<void>> TlsAlpn01Solver::present(ChallengeContext context) {
  if (port() == 0) {
    co_return Error(Errc::solver_failed, "presenting tls-alpn-01",
                    "the solver does not listen: call start() or start_thread() first");
  }
  co_return result_of([&] { responder_->add(context.identifier, context.key_authorization); });
}

Flow<Result<void>> TlsAlpn01Solver::cleanup(ChallengeContext context) {
  responder_->remove(context.identifier);
  co_return Result<void>();
}

}  // namespace culmen
