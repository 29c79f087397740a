// Operations on orders (RFC 8555 §7.4).
#include "protocol/order.hpp"

#include <algorithm>

#include "crypto/onion.hpp"
#include "engine/authorize.hpp"
#include "engine/endpoints.hpp"
#include "engine/orders.hpp"
#include "engine/retry.hpp"
#include "engine/session.hpp"
#include "engine/signed_post.hpp"
#include "protocol/authorization.hpp"
#include "protocol/delegation.hpp"

namespace culmen::engine {

namespace {
constexpr std::size_t max_explained_authorizations = 100;
constexpr std::size_t explain_width = 8;

/// The order's authorizations, as far as they can be fetched.
Flow<Result<std::vector<Authorization>>> fetch_authorizations(Session session, Account account, Order order) {
  std::vector<Flow<Result<Authorization>>> looks;
  for (const std::string& url : order.authorizations) {
    if (looks.size() == max_explained_authorizations) break;
    looks.push_back(get_authorization(session, account, url));
  }
  std::vector<Result<Authorization>> seen = co_await all(std::move(looks), explain_width);
  std::vector<Authorization> fetched;
  for (Result<Authorization>& authorization : seen) {
    if (authorization) fetched.push_back(std::move(*authorization));
  }
  co_return fetched;
}

/// Why an order is invalid: its own error is often null, the authorizations tell (RFC 8555 §7.1.6).
Flow<Result<Order>> explain_invalid(Session session, Account account, Order order, std::string doing) {
  std::vector<Problem> problems;
  if (order.error) problems.push_back(*order.error);
  const Result<std::vector<Authorization>> seen = co_await fetch_authorizations(session, account, order);
  for (const Authorization& authorization : *seen) {
    for (Problem& problem : protocol::problems_of(authorization)) problems.push_back(std::move(problem));
  }
  std::string why = "the order is " + std::string(to_string(order.status));
  if (problems.empty()) why += ", and the CA does not say why";
  co_return Error(Errc::order_invalid, doing, why).with_problems(std::move(problems));
}

/// A time-out: names the authorizations that the order waits for.
Flow<Result<Order>> explain_timeout(Session session, Account account, std::optional<Order> order, Error timed_out) {
  if (!order) co_return timed_out;
  const Result<std::vector<Authorization>> seen = co_await fetch_authorizations(session, account, *order);
  co_return with_authorizations(timed_out, *seen);
}

bool is_settled(const Order& order, OrderGoal goal) {
  switch (order.status) {
    case OrderStatus::valid:
    case OrderStatus::invalid:
    case OrderStatus::canceled: return true;
    case OrderStatus::ready: return goal == OrderGoal::ready;
    case OrderStatus::pending:
    case OrderStatus::processing:
    case OrderStatus::unknown: return false;
  }
  return false;
}

/// Checks what can be checked before anything is sent.
Result<void> check_request(const OrderRequest& request, const DirectoryMeta& meta) {
  constexpr std::string_view doing = "creating an order";
  if (request.identifiers.empty()) return Error(Errc::invalid_argument, doing, "there is no name to order for");
  for (const Identifier& identifier : request.identifiers) {
    if (identifier.type == "dns" && identifier.value.ends_with(".onion") &&
        !crypto::onion_public_key(identifier.value)) {
      return Error(
          Errc::invalid_argument, doing,
          printable(identifier.value, 260) + " is not a v3 onion address: its length or its checksum is wrong");
    }
  }
  if (!request.profile.empty() && !meta.profiles.contains(request.profile)) {
    std::string offered;
    for (const auto& profile : meta.profiles) offered += (offered.empty() ? "" : ", ") + printable(profile.first, 60);
    return Error(Errc::not_offered, doing,
                 "the CA has no profile \"" + request.profile + "\"; it has " + (offered.empty() ? "none" : offered));
  }
  if (!request.ancestor_domains.empty() && !meta.subdomain_auth_allowed) {
    return Error(
        Errc::not_offered, doing,
        "an ancestor domain was given, but the CA has no authorizations for names below (subdomainAuthAllowed)");
  }
  Result<void> delegation = protocol::check_delegation(request.delegation, request.allow_certificate_get, meta, doing);
  if (!delegation) return delegation;
  for (const auto& [name, ancestor] : request.ancestor_domains) {
    const Identifier identifier("dns", name);
    if (std::ranges::find(request.identifiers, identifier) == request.identifiers.end()) {
      return Error(Errc::invalid_argument, doing,
                   "an ancestor domain was given for " + printable(name, 260) + ", which is not ordered");
    }
    if (ancestor.empty() || !name.ends_with("." + ancestor)) {
      return Error(Errc::invalid_argument, doing,
                   printable(ancestor, 260) + " is not a parent domain of " + printable(name, 260));
    }
  }
  return {};
}
}  // namespace

Flow<Result<Order>> new_order(Session session, Account account, OrderRequest request) {
  const std::string doing = "creating an order";
  MakeRequest make = [account, request, doing](const Directory& directory) -> Result<SignedRequest> {
    if (Result<void> checked = check_request(request, directory.meta); !checked) return checked.error();
    SignedRequest post(account, directory.new_order, protocol::new_order_payload(request), doing);
    post.repeat = Repeat::once;  // An order that nobody uses only expires.
    return post;
  };
  Result<HttpResponse> response = co_await post_to_endpoint(session, std::move(make));
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  Result<Order> order = protocol::parse_new_order(*response, instant.wall);
  const std::optional<std::string> url = protocol::location(*response);
  if (!order && url) order = co_await get_order(session, account, *url);
  co_return order;
}

Flow<Result<Order>> get_order(Session session, Account account, std::string order_url) {
  const std::string doing = "fetching the order";
  SignedRequest request(account, order_url, "", doing);
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  const Instant instant = co_await now();
  co_return protocol::parse_order(*response, std::move(order_url), doing, instant.wall);
}

Flow<Result<Order>> poll_order_until(Session session, Account account, std::string order_url, OrderGoal goal,
                                     PollOptions options, std::optional<Order> last_seen, Validation* validation) {
  const bool for_certificate = goal == OrderGoal::valid;
  const std::string doing = for_certificate ? "waiting for the certificate" : "waiting for the order to become ready";
  const Instant start = co_await now();
  Session::State& state = session.state();
  CompletionEstimate& learned = for_certificate ? state.issuance : state.validation;
  const CompletionEstimate::Estimate estimate = learned.current();
  PollTimer timer(state.options, state.round_trip(), start, options,
                  options.begun ? estimate.first_poll : std::nullopt);
  int failed_polls = 0;
  int polls = 0;
  bool told_when = false;  // by Retry-After
  std::optional<Order> seen = std::move(last_seen);
  bool rested = !seen && !options.begun;
  for (;;) {
    if (seen && is_settled(*seen, goal)) {
      if (seen->status == OrderStatus::invalid) co_return co_await explain_invalid(session, account, *seen, doing);
      if (seen->status == OrderStatus::canceled) co_return Error(Errc::order_invalid, doing, "the order is canceled");
      const Instant end = co_await now();
      if (options.begun && polls > 0 && !told_when) {
        learned.seen_done(estimate, end.steady - *options.begun, polls == 1);
      }
      co_return std::move(*seen);
    }
    if (!rested) {
      const Instant instant = co_await now();
      const std::optional<std::chrono::seconds> retry_after = seen ? seen->retry_after : std::nullopt;
      told_when = told_when || retry_after.value_or(std::chrono::seconds(0)).count() > 0;
      Result<microseconds> pause = timer.pause(retry_after, instant, doing);
      if (!pause && for_certificate) co_return pause.error();
      if (!pause) co_return co_await explain_timeout(session, account, seen, pause.error());
      Result<void> waited = co_await rest(validation, *pause);
      if (!waited) co_return waited.error().while_doing(doing);
    }
    ++polls;
    rested = false;
    Result<Order> order = co_await get_order(session, account, order_url);
    if (order) {
      failed_polls = 0;
      seen = std::move(*order);
      if (validation && !is_settled(*seen, goal)) {
        if (Result<void> looked = co_await look(*validation); !looked) co_return looked.error().while_doing(doing);
      }
      continue;
    }
    // The CA continues with the order whether this poll got through or not.
    if (!is_worth_retrying(order.error()) || ++failed_polls > max_failed_polls)
      co_return order.error().while_doing(doing);
    const Instant instant = co_await now();
    Result<microseconds> pause = timer.pause(order.error().retry_after(), instant, doing);
    if (!pause) co_return order.error().while_doing(doing);
    Result<void> waited = co_await rest(validation, *pause);
    if (!waited) co_return waited.error().while_doing(doing);
    rested = true;
  }
}

Flow<Result<Order>> poll_order(Session session, Account account, std::string order_url,
                               std::optional<std::chrono::seconds> deadline) {
  const PollOptions options(deadline);
  co_return co_await poll_order_until(std::move(session), std::move(account), std::move(order_url), OrderGoal::ready,
                                      options);
}

Flow<Result<Order>> poll_certificate(Session session, Account account, std::string order_url,
                                     std::optional<std::chrono::seconds> deadline) {
  const PollOptions options(deadline);
  co_return co_await poll_order_until(std::move(session), std::move(account), std::move(order_url), OrderGoal::valid,
                                      options);
}

Flow<Result<Order>> await_certificate(Session session, Account account, Order finalized, PollOptions options) {
  std::string url = finalized.url;
  std::optional<Order> seen = std::move(finalized);
  co_return co_await poll_order_until(std::move(session), std::move(account), std::move(url), OrderGoal::valid, options,
                                      std::move(seen));
}

Flow<Result<Order>> finalize(Session session, Account account, Order order, Bytes csr_der) {
  return finalize(std::move(session), std::move(account), std::move(order), std::move(csr_der),
                  std::vector<OnionCaa>());
}

namespace {
Flow<Result<Order>> finalized_order(Session session, Account account, Order seen, std::string doing) {
  if (seen.status == OrderStatus::invalid) co_return co_await explain_invalid(session, account, seen, doing);
  co_return seen;
}

/// Posts the CSR, and again if the order shows that it did not arrive. The order as the CA has it then.
Flow<Result<Order>> post_csr(Session session, Account account, std::string order_url, SignedRequest request) {
  for (int repeats = 0;; ++repeats) {
    Result<HttpResponse> response = co_await signed_post(session, request);
    if (response) {
      const Instant instant = co_await now();
      Result<Order> told = protocol::parse_order(*response, order_url, request.doing, instant.wall);
      if (told) co_return told;
      // Perhaps not the CA's words, but of something in front of it: then the CA never saw the CSR.
      told = co_await get_order(session, account, order_url);
      if (!told || told->status != OrderStatus::ready || repeats >= max_repeats_after_look) co_return told;
      Result<void> waited = co_await pause_for(repeat_pause(repeats + 1));
      if (!waited) co_return waited.error().while_doing(request.doing);
      continue;
    }
    const Error error = response.error();
    if (!outcome_unknown(error)) co_return error;
    const bool again = repeats < max_repeats_after_look && may_be_repeated(error);
    if (again && repeats > 0) {
      Result<void> waited = co_await pause_for(repeat_pause(repeats));
      if (!waited) co_return waited.error().while_doing(request.doing);
    }
    Result<Order> seen = co_await get_order(session, account, order_url);
    if (seen && seen->status != OrderStatus::ready) co_return seen;
    if (!seen || !again) co_return error;
  }
}
}  // namespace

Flow<Result<Order>> finalize(Session session, Account account, Order order, Bytes csr_der,
                             std::vector<OnionCaa> onion_caa) {
  const std::string doing = "finalizing the order";
  const std::string payload = protocol::finalize_payload(csr_der, onion_caa);
  if (order.finalize.empty()) co_return Error(Errc::bad_response, doing, "the order has no finalize URL");
  SignedRequest request(account, order.finalize, payload, doing);
  Result<Order> seen = co_await post_csr(session, account, order.url, request);
  if (!seen && seen.error().code() == Errc::order_not_ready) {
    // RFC 8555 §7.4: the client then fetches the order. It may still become ready: some CAs update the order after its
    // authorizations.
    Result<Order> ready = co_await poll_order(session, account, order.url);
    if (!ready || ready->status != OrderStatus::ready) co_return ready;
    seen = co_await post_csr(session, account, order.url, request);
  }
  if (!seen) co_return seen;
  co_return co_await finalized_order(session, account, *seen, doing);
}

Flow<Result<Order>> finalize_and_wait(Session session, Account account, Order order, Bytes csr_der,
                                      std::vector<OnionCaa> onion_caa, PollOptions options,
                                      std::function<void()> finalized) {
  Result<Order> seen = co_await finalize(session, account, std::move(order), std::move(csr_der), std::move(onion_caa));
  if (!seen) co_return seen;
  if (finalized) finalized();
  const Instant begun = co_await now();
  if (!options.interval) options.begun = begun.steady;
  co_return co_await await_certificate(session, account, *seen, options);
}

}  // namespace culmen::engine
