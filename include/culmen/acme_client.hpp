// Former path of culmen/asio/acme_client.hpp and of the solvers' awaitable functions. Removed in the next release.
#pragma once

#include "culmen/asio/acme_client.hpp"
#include "culmen/asio/http01_solver.hpp"
#include "culmen/asio/tls_alpn01_solver.hpp"
