// Flows that both clients use and engine.hpp does not have.
#pragma once

#include "culmen/engine.hpp"

namespace culmen::faces {

/// engine::finalize(), and then waits until the order is valid.
Flow<Result<Order>> finalize_and_wait(engine::Session session, Account account, Order order, Bytes csr_der,
                                      std::vector<OnionCaa> onion_caa);
/// engine::download_chain(), reduced to the PEM.
Flow<Result<std::string>> download_pem(engine::Session session, Account account, std::string certificate_url);

}  // namespace culmen::faces
