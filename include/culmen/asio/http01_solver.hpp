// The awaitable functions of Http01Solver, for Boost.Asio programs. The solver must outlive the awaitables.
#pragma once

#include <string>
#include <utility>

#include "culmen/asio/solver_types.hpp"
#include "culmen/http01_solver.hpp"

namespace culmen {

namespace detail {
AsioTypes::Awaitable start(Http01Solver& solver);
AsioTypes::Awaitable present(Http01Solver& solver, std::string token, std::string key_authorization);
AsioTypes::Awaitable cleanup(Http01Solver& solver, std::string token);
}  // namespace detail

template <class Asio>
typename Asio::Awaitable Http01Solver::start() {
  return detail::start(*this);
}

template <class Asio>
typename Asio::Awaitable Http01Solver::present(std::string token, std::string key_authorization) {
  return detail::present(*this, std::move(token), std::move(key_authorization));
}

template <class Asio>
typename Asio::Awaitable Http01Solver::cleanup(std::string token) {
  return detail::cleanup(*this, std::move(token));
}

}  // namespace culmen
