// The Boost.Asio types in the solvers' awaitable functions. Included by culmen/asio/http01_solver.hpp and
// culmen/asio/tls_alpn01_solver.hpp.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace culmen::detail {

/// The return type of the solvers' awaitable functions, which their headers name without Boost.Asio.
struct AsioTypes {
  using Awaitable = boost::asio::awaitable<void>;
};

}  // namespace culmen::detail
