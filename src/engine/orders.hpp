// Polling with options that the public functions do not have.
#pragma once

#include <optional>
#include <string>

#include "culmen/engine.hpp"
#include "engine/retry.hpp"

namespace culmen::engine {

enum class OrderGoal {
  ready,  ///< Validation is over: ready, or valid already.
  valid,  ///< The certificate is issued.
};

/// Polls until the order reaches the goal, or order_invalid with the CA's reasons. Without `last_seen` and
/// PollOptions::begun the first request is sent at once. `last_seen` is a response that has just arrived: no request is
/// sent if it shows a final state.
Flow<Result<Order>> poll_order_until(Session session, Account account, std::string order_url, OrderGoal goal,
                                     PollOptions options, std::optional<Order> last_seen = std::nullopt);
/// poll_order_until() for the response to finalize.
Flow<Result<Order>> await_certificate(Session session, Account account, Order finalized, PollOptions options);

/// poll_authorization() with polling options.
Flow<Result<Authorization>> poll_authorization_with(Session session, Account account, std::string authorization_url,
                                                    PollOptions options);

}  // namespace culmen::engine
