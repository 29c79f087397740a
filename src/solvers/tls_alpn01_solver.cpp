#include "culmen/tls_alpn01_solver.hpp"

#include <utility>

#include "culmen/error.hpp"
#include "solvers/alpn_names.hpp"
#include "solvers/challenge_server.hpp"

namespace culmen {

// The constructor is defined with the server, in src/listen; the awaitable functions in src/faces.

TlsAlpn01Solver::~TlsAlpn01Solver() { cleanup(); }

void TlsAlpn01Solver::start_thread() { server_->start_thread(wanted_port_, address_); }
std::uint16_t TlsAlpn01Solver::port() const noexcept { return server_->port(); }

void TlsAlpn01Solver::add(std::string_view domain, std::string_view id_type, std::string_view key_authorization) {
  const Identifier identifier((std::string(id_type)), std::string(domain));
  names_->add(solvers::alpn_server_name(identifier), identifier, key_authorization);
}

void TlsAlpn01Solver::remove(std::string_view domain, std::string_view id_type) {
  try {
    names_->remove(solvers::alpn_server_name(Identifier(std::string(id_type), std::string(domain))));
  } catch (const Error&) {
    // A name that cannot be presented is not in the table.
  }
}

void TlsAlpn01Solver::cleanup() noexcept {
  server_->stop();
  names_->clear();
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
  co_return result_of([&] { add(context.identifier.value, context.identifier.type, context.key_authorization); });
}

Flow<Result<void>> TlsAlpn01Solver::cleanup(ChallengeContext context) {
  remove(context.identifier.value, context.identifier.type);
  co_return Result<void>();
}

}  // namespace culmen
