// What the solvers' awaitable functions need of Boost.Asio. Included by culmen/asio/http01_solver.hpp and
// culmen/asio/tls_alpn01_solver.hpp.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace culmen::detail {

struct AsioTypes {
  using Awaitable = boost::asio::awaitable<void>;
};

}  // namespace culmen::detail
