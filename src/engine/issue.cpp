// Issues a certificate in one flow, built from the single operations.
#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "engine/authorize.hpp"
#include "engine/check_certificate.hpp"
#include "engine/orders.hpp"
#include "engine/retry.hpp"

namespace culmen {

std::string_view to_string(IssueProgress::Step step) noexcept {
  switch (step) {
    case IssueProgress::Step::order_created: return "order_created";
    case IssueProgress::Step::order_resumed: return "order_resumed";
    case IssueProgress::Step::already_valid: return "already_valid";
    case IssueProgress::Step::presented: return "presented";
    case IssueProgress::Step::triggered: return "triggered";
    case IssueProgress::Step::validated: return "validated";
    case IssueProgress::Step::key_ready: return "key_ready";
    case IssueProgress::Step::finalized: return "finalized";
    case IssueProgress::Step::downloaded: return "downloaded";
    case IssueProgress::Step::replaces_dropped: return "replaces_dropped";
    case IssueProgress::Step::cleanup_failed: return "cleanup_failed";
    case IssueProgress::Step::refused: return "refused";
  }
  return "unknown";
}

IssueRequest::IssueRequest(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) identifiers.push_back(Identifier::parse(name));
}

IssueRequest::IssueRequest(const std::vector<std::string>& names) {
  for (const std::string& name : names) identifiers.push_back(Identifier::parse(name));
}

}  // namespace culmen

namespace culmen::engine {

namespace {
using Step = IssueProgress::Step;

/// State shared by all parts of one issue(). Lives in the frame of issue(), which outlives the parts.
struct Issuing {
  Issuing(Session session_, Account account_, IssueRequest request_, std::vector<ChallengeSolver*> solvers_)
      : session(std::move(session_)),
        account(std::move(account_)),
        request(std::move(request_)),
        solvers(std::move(solvers_)) {}

  void report(Step step, std::string subject = {}) const {
    if (!request.on_progress) return;
    try {
      const IssueProgress progress(step, std::move(subject));
      request.on_progress(progress);
    } catch (...) {
      // Exceptions from the progress callback are ignored.
    }
  }

  Session session;
  Account account;
  IssueRequest request;
  std::vector<ChallengeSolver*> solvers;
  bool key_is_new = false;    ///< Generated here, not given by the caller.
  bool key_is_ready = false;  ///< Generated and stored.
  bool resumed = false;       ///< The order is from an earlier run.
  bool refused = false;       ///< Its certificate is not what was asked for.
};

// ---- The request ----

std::vector<Identifier> without_duplicates(const std::vector<Identifier>& identifiers) {
  std::vector<Identifier> unique;
  for (const Identifier& identifier : identifiers) {
    if (std::ranges::find(unique, identifier) == unique.end()) unique.push_back(identifier);
  }
  return unique;
}

/// Whether generating a key of that type takes too long for an event loop. Only the names of RSA keys start with R.
bool is_slow_to_make(std::string_view key_type) { return key_type.starts_with('r') || key_type.starts_with('R'); }

Result<void> prepare_request(Issuing& issuing) {
  constexpr std::string_view doing = "issuing a certificate";
  IssueRequest& request = issuing.request;
  if (!request.csr.empty()) {
    Result<std::vector<Identifier>> named = result_of([&] { return csr_identifiers(request.csr); });
    if (!named) return named.error().while_doing(doing);
    if (!request.identifiers.empty() &&
        std::set<Identifier>(named->begin(), named->end()) !=
            std::set<Identifier>(request.identifiers.begin(), request.identifiers.end())) {
      return Error(Errc::invalid_argument, doing, "the names asked for are not the names in the CSR");
    }
    request.identifiers = std::move(*named);
  }
  request.identifiers = without_duplicates(request.identifiers);
  if (request.identifiers.empty()) return Error(Errc::invalid_argument, doing, "there is no name to issue for");
  if (issuing.solvers.empty() || std::ranges::count(issuing.solvers, nullptr) > 0) {
    return Error(Errc::invalid_argument, doing, "there is no solver");
  }
  if (request.key && request.key->same_key_as(issuing.account.key.private_key())) {
    // RFC 8555 §11.1: the server must refuse a CSR that carries an account key.
    return Error(Errc::invalid_argument, doing, "the certificate's key is the account's key: use another one");
  }
  issuing.key_is_new = !request.key && request.csr.empty();
  const bool can_wait = is_slow_to_make(request.key_type) && key_type_available(request.key_type);
  if (!issuing.key_is_new || can_wait) return {};
  Result<PrivateKey> made = result_of([&] { return PrivateKey::generate(request.key_type); });
  if (!made) return made.error();
  request.key = std::move(*made);
  return {};
}

/// Generates the key unless there is one, and stores it. Does nothing when called again.
Flow<Result<void>> ready_key(Issuing& issuing) {
  IssueRequest& request = issuing.request;
  if (!request.csr.empty() || std::exchange(issuing.key_is_ready, true)) co_return Result<void>();
  if (!request.key) {
    const auto made = std::make_shared<std::optional<PrivateKey>>();
    std::function<Result<void>()> make = [made, type = request.key_type]() -> Result<void> {
      made->emplace(PrivateKey::generate(type));
      return {};
    };
    Result<void> called = co_await call(std::move(make));
    if (!called) co_return called;
    request.key = **made;
  }
  if (request.keep_key) {
    std::function<Result<void>()> keep = [keep_key = request.keep_key, key = *request.key]() -> Result<void> {
      keep_key(key);
      return {};
    };
    Result<void> kept = co_await call_storing(std::move(keep));
    if (!kept) co_return kept.error().while_doing("storing the certificate's key");
  }
  if (request.store_key) {
    std::function<Flow<Result<void>>()> store = [&request] { return request.store_key(*request.key); };
    Result<void> stored = co_await guarded<void>(std::move(store), "storing the certificate's key");
    if (!stored) co_return stored;
  }
  issuing.report(Step::key_ready, request.key->type());
  co_return Result<void>();
}

// ---- The order ----

bool can_be_resumed(const Order& order, const Issuing& issuing) {
  const std::vector<Identifier>& names = issuing.request.identifiers;
  const std::set<Identifier> wanted(names.begin(), names.end());
  const std::set<Identifier> ordered(order.identifiers.begin(), order.identifiers.end());
  if (wanted != ordered) return false;
  switch (order.status) {
    case OrderStatus::pending:
    case OrderStatus::ready: return true;
    case OrderStatus::processing:
    case OrderStatus::valid: return !issuing.key_is_new;  // it was finalized with a key of an earlier run
    case OrderStatus::invalid:
    case OrderStatus::canceled:
    case OrderStatus::unknown: return false;
  }
  return false;
}

OrderRequest order_request(const IssueRequest& request) {
  OrderRequest order(request.identifiers);
  order.not_before = request.not_before;
  order.not_after = request.not_after;
  order.profile = request.profile;
  order.replaces = request.replaces;
  order.ancestor_domains = request.ancestor_domains;
  order.onion_identifier_type = request.onion_identifier_type;
  return order;
}

/// Whether the CA may have refused the order because of `replaces`, which is only a hint (RFC 9773 §5).
bool is_about_replaces(const Error& error) {
  if (!error.problem()) return false;
  switch (error.code()) {
    case Errc::already_replaced:
    case Errc::malformed:                  // unknown certificate, or no name in common
    case Errc::unauthorized: return true;  // the certificate of another account
    case Errc::rate_limited: return false;
    default: return error.http_status() == 409;
  }
}

Flow<Result<void>> keep_order(Issuing& issuing, std::string url) {
  const IssueRequest& request = issuing.request;
  if (request.keep_order) {
    std::function<Result<void>()> keep = [keep_url = request.keep_order, url]() -> Result<void> {
      keep_url(url);
      return {};
    };
    Result<void> kept = co_await call_storing(std::move(keep));
    if (!kept) co_return kept.error().while_doing("storing the order's URL");
  }
  if (request.store_order) {
    std::function<Flow<Result<void>>()> store = [&request, url] { return request.store_order(url); };
    Result<void> stored = co_await guarded<void>(std::move(store), "storing the order's URL");
    if (!stored) co_return stored;
  }
  co_return Result<void>();
}

Flow<Result<Order>> order_anew(Issuing& issuing, OrderRequest request) {
  if (issuing.request.before_order) {
    std::function<Flow<Result<void>>()> prepare = [&issuing, replaces = request.replaces] {
      return issuing.request.before_order(replaces);
    };
    Result<void> prepared = co_await guarded<void>(std::move(prepare), "preparing an order");
    if (!prepared) co_return prepared.error();
  }
  co_return co_await new_order(issuing.session, issuing.account, std::move(request));
}

Flow<Result<Order>> place_order(Issuing& issuing) {
  issuing.resumed = false;
  if (!issuing.request.resume_order.empty()) {
    Result<Order> earlier = co_await get_order(issuing.session, issuing.account, issuing.request.resume_order);
    if (!earlier && earlier.error().code() == Errc::cancelled) co_return earlier;
    if (earlier && can_be_resumed(*earlier, issuing)) {
      issuing.resumed = true;
      issuing.report(Step::order_resumed, earlier->url);
      co_return earlier;
    }
  }
  OrderRequest request = order_request(issuing.request);
  Result<Order> order = co_await order_anew(issuing, request);
  if (!order && !request.replaces.empty() && is_about_replaces(order.error())) {
    issuing.report(Step::replaces_dropped, order.error().what());
    request.replaces.clear();
    order = co_await order_anew(issuing, request);
  }
  if (!order) co_return order;
  issuing.report(Step::order_created, order->url);
  Result<void> kept = co_await keep_order(issuing, order->url);
  if (!kept) co_return kept.error();
  co_return order;
}

// ---- Authorizations ----

/// Fetches all authorizations before anything is presented: if one cannot be solved, the CA validates none of them.
Flow<Result<void>> plan_authorizations(Issuing& issuing, Validation& validation, const Order& order) {
  if (Result<void> checked = check_number_of_authorizations(issuing.request, order); !checked) co_return checked;
  std::vector<Flow<Result<Authorization>>> fetches;
  for (const std::string& url : order.authorizations) {
    fetches.push_back(get_authorization(issuing.session, issuing.account, url));
  }
  std::vector<Result<Authorization>> seen = co_await all(std::move(fetches), validation.width);
  std::vector<Authorization> pending;
  for (Result<Authorization>& authorization : seen) {
    if (!authorization) co_return authorization.error();
    if (authorization->status == AuthorizationStatus::valid) {
      issuing.report(Step::already_valid, display_name(*authorization));
      continue;
    }
    // Any other final state makes the order invalid; the poll that follows says why.
    if (authorization->status != AuthorizationStatus::pending) continue;
    pending.push_back(std::move(*authorization));
  }
  for (Authorization& authorization : pending) {
    Result<void> planned = check_authorization(issuing.request, authorization);
    if (planned) planned = plan(validation, std::move(authorization));
    if (!planned) co_return planned;
  }
  co_return Result<void>();
}

Flow<Result<Order>> present_and_wait(Issuing& issuing, Validation& validation, const Order& order) {
  const std::optional<std::chrono::seconds> deadline = issuing.request.poll_deadline;
  if (validation.solving.empty()) {
    co_return co_await poll_order(issuing.session, issuing.account, order.url, deadline);
  }
  Result<void> triggered = co_await present_and_trigger(validation);
  if (!triggered) co_return triggered.error();
  // While the CA validates, generate and store the key that finalization needs.
  const Instant begun = co_await now();
  Result<void> ready = co_await ready_key(issuing);
  if (!ready) co_return ready.error();
  PollOptions options(deadline);
  options.begun = begun.steady;
  co_return co_await poll_order_until(issuing.session, issuing.account, order.url, OrderGoal::ready, options,
                                      std::nullopt, &validation);
}

Flow<Result<Order>> validate(Issuing& issuing, Order order) {
  Validation validation(issuing.session, issuing.account, issuing.solvers, checked_width(issuing.request.width));
  validation.report = [&issuing](Step step, std::string subject) { issuing.report(step, std::move(subject)); };
  Result<void> planned = co_await plan_authorizations(issuing, validation, order);
  if (!planned) co_return planned.error();
  std::function<Flow<Result<Order>>()> work = [&issuing, &validation, &order] {
    return present_and_wait(issuing, validation, order);
  };
  Result<Order> outcome = co_await guarded<Order>(std::move(work), "validating the names");
  // Runs after success, failure and cancellation alike.
  (void)co_await shielded(clean_up(validation));
  if (outcome) issuing.report(Step::validated);
  co_return outcome;
}

// ---- The certificate ----

Flow<Result<Bytes>> prepare_csr(Issuing& issuing) {
  const IssueRequest& request = issuing.request;
  if (!request.csr.empty()) co_return request.csr;
  Result<void> ready = co_await ready_key(issuing);
  if (!ready) co_return ready.error();
  co_return result_of([&] { return build_csr(request.identifiers, *request.key, request.csr_options); });
}

Flow<Result<Order>> complete(Issuing& issuing, Order order) {
  Result<Order> current = std::move(order);
  if (current->status == OrderStatus::pending) {
    current = co_await validate(issuing, *current);
    if (!current) co_return current;
  }
  PollOptions options(issuing.request.poll_deadline);
  if (current->status != OrderStatus::ready) {
    co_return co_await await_certificate(issuing.session, issuing.account, *current, options);
  }
  Result<Bytes> csr = co_await prepare_csr(issuing);
  if (!csr) co_return csr.error();
  std::function<void()> finalized = [&issuing] { issuing.report(Step::finalized); };
  co_return co_await finalize_and_wait(issuing.session, issuing.account, *current, *csr, issuing.request.onion_caa,
                                       options, finalized);
}

Flow<Result<IssuedCertificate>> issue_one(Issuing& issuing) {
  Result<Order> order = co_await place_order(issuing);
  if (!order) co_return order.error();
  order = co_await complete(issuing, *order);
  if (!order) co_return order.error();
  if (order->certificate.empty()) {
    co_return Error(Errc::bad_response, "downloading the certificate",
                    "the order is valid, but has no certificate URL");
  }
  Result<CertificateChain> chain = co_await download_preferred_chain(
      issuing.session, issuing.account, order->certificate, issuing.request.preferred_chain);
  if (!chain) co_return chain.error();
  const Instant instant = co_await now();
  Result<void> checked = check_certificate(issuing.request, *chain, instant.wall);
  issuing.refused = !checked;
  if (!checked) {
    issuing.report(Step::refused, checked.error().what());
    co_return checked.error();
  }
  issuing.report(Step::downloaded, chain->url);

  IssuedCertificate issued;
  issued.chain_pem = chain->pem;
  issued.key = issuing.request.key;
  issued.identifiers = issuing.request.identifiers;
  issued.warnings = ignored_wishes(issuing.request, *order, *chain);
  issued.order = std::move(*order);
  issued.chain = std::move(*chain);
  co_return issued;
}
}  // namespace

Flow<Result<IssuedCertificate>> issue(Session session, Account account, IssueRequest request,
                                      std::vector<ChallengeSolver*> solvers) {
  const int nonce_retries = std::max(min_issue_nonce_retries, session.nonce_retries());
  Issuing issuing(session.with_nonce_retries(nonce_retries), std::move(account), std::move(request),
                  std::move(solvers));
  if (Result<void> prepared = prepare_request(issuing); !prepared) co_return prepared.error();
  Result<IssuedCertificate> issued = co_await issue_one(issuing);
  if (issued || !issuing.resumed || !issuing.refused) co_return issued;
  // The certificate of an earlier run's order cannot be used, now or later: order again.
  issuing.request.resume_order.clear();
  co_return co_await issue_one(issuing);
}

}  // namespace culmen::engine
