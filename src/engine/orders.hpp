// Polling with options that the public functions do not have.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "culmen/engine.hpp"
#include "engine/retry.hpp"

namespace culmen::engine {

enum class OrderGoal {
  ready,  ///< Validation is over: ready, or valid already.
  valid,  ///< The certificate is issued.
};

struct Validation;

/// Polls until the order reaches the goal, or order_invalid with the CA's reasons. Without `last_seen` and
/// PollOptions::begun the first request is sent at once. `last_seen` is a response that has just arrived: no request is
/// sent if it shows a final state. With `validation` (authorize.hpp) the authorizations are looked at too, whenever a
/// poll finds the order not ready.
Flow<Result<Order>> poll_order_until(Session session, Account account, std::string order_url, OrderGoal goal,
                                     PollOptions options, std::optional<Order> last_seen = std::nullopt,
                                     Validation* validation = nullptr);
/// poll_order_until() for the response to finalize.
Flow<Result<Order>> await_certificate(Session session, Account account, Order finalized, PollOptions options);
/// finalize(), and then await_certificate(). `finalized`, if not empty, is called between the two.
Flow<Result<Order>> finalize_and_wait(Session session, Account account, Order order, Bytes csr_der,
                                      std::vector<OnionCaa> onion_caa, PollOptions options,
                                      std::function<void()> finalized = {});

/// poll_authorization() with polling options. With `validation` its challenge is posted again where the CA left it
/// pending with an error.
Flow<Result<Authorization>> poll_authorization_with(Session session, Account account, std::string authorization_url,
                                                    PollOptions options, Validation* validation = nullptr);

}  // namespace culmen::engine
