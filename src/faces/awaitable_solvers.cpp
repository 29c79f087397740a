// The awaitable functions of the solvers with a built-in server.
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "culmen/asio/http01_solver.hpp"
#include "culmen/asio/tls_alpn01_solver.hpp"
#include "listen/responder.hpp"

namespace culmen::detail {

struct SolverServer {
  /// Every solver's constructor makes a Responder.
  template <class Solver>
  static void start(Solver& solver, const boost::asio::any_io_executor& executor) {
    static_cast<listen::Responder&>(*solver.server_).start(executor, solver.wanted_port_, solver.address_);
  }
};

AsioTypes::Awaitable start(Http01Solver& solver) {
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  SolverServer::start(solver, executor);
}

AsioTypes::Awaitable present(Http01Solver& solver, std::string token, std::string key_authorization) {
  solver.add(token, key_authorization);
  co_return;
}

AsioTypes::Awaitable cleanup(Http01Solver& solver, std::string token) {
  solver.remove(token);
  co_return;
}

AsioTypes::Awaitable start(TlsAlpn01Solver& solver) {
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  SolverServer::start(solver, executor);
}

AsioTypes::Awaitable present(TlsAlpn01Solver& solver, std::string domain, std::string id_type,
                             std::string key_authorization) {
  solver.add(domain, id_type, key_authorization);
  co_return;
}

}  // namespace culmen::detail
