// What issue() needs of the orders' verbs beyond the public ones.
#pragma once

#include "culmen/engine.hpp"

namespace culmen::engine {

/// Like poll_order(), after the last challenge was triggered at `begun`: the first look comes when it may be worth it.
Flow<Result<Order>> watch_validation(Session session, Account account, std::string order_url, Instant begun,
                                     std::optional<std::chrono::seconds> deadline);
/// Like poll_certificate(), when the answer to finalize is at hand: no request if that says `valid` already.
Flow<Result<Order>> wait_for_certificate(Session session, Account account, Order finalized,
                                         std::optional<std::chrono::seconds> deadline);

}  // namespace culmen::engine
