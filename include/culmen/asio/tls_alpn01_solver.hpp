// The awaitable functions of TlsAlpn01Solver, for Boost.Asio programs. The solver must outlive the awaitables.
#pragma once

#include <string>
#include <utility>

#include "culmen/asio/solver_types.hpp"
#include "culmen/tls_alpn01_solver.hpp"

namespace culmen {

namespace detail {
AsioTypes::Awaitable start(TlsAlpn01Solver& solver);
AsioTypes::Awaitable present(TlsAlpn01Solver& solver, std::string domain, std::string id_type,
                             std::string key_authorization);
}  // namespace detail

template <class Asio>
typename Asio::Awaitable TlsAlpn01Solver::start() {
  return detail::start(*this);
}

template <class Asio>
typename Asio::Awaitable TlsAlpn01Solver::present(std::string domain, std::string id_type,
                                                  std::string key_authorization) {
  return detail::present(*this, std::move(domain), std::move(id_type), std::move(key_authorization));
}

}  // namespace culmen
