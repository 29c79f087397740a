// Issues a certificate in one flow, built from the single operations.
#include <algorithm>
#include <set>
#include <utility>

#include "base/name.hpp"
#include "engine/orders.hpp"
#include "engine/retry.hpp"
#include "engine/session.hpp"
#include "engine/signed_post.hpp"

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

/// An authorization that is pending, and what is needed to complete it.
struct Solving {
  explicit Solving(Authorization authorization_) : authorization(std::move(authorization_)) {}
  Authorization authorization;
  ChallengeSolver* solver = nullptr;
  ChallengeContext context;
  bool presented = false;  ///< present() was started: cleanup() must be called.
};

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
  std::vector<Solving> solving;
  bool key_is_new = false;    ///< Generated here, not given by the caller.
  bool key_is_ready = false;  ///< Generated and stored.
  bool abandoned = false;     ///< One part failed: the others start nothing new.
};

std::string display_name(const Authorization& authorization) {
  return (authorization.wildcard ? "*." : "") + authorization.identifier.value;
}

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

Result<void> make_key(IssueRequest& request) {
  Result<PrivateKey> made = result_of([&] { return PrivateKey::generate(request.key_type); });
  if (!made) return made.error();
  request.key = std::move(*made);
  return {};
}

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
  if (issuing.key_is_new && !can_wait) return make_key(request);
  return {};
}

/// Generates the key unless there is one, and stores it. Does nothing when called again.
Flow<Result<void>> ready_key(Issuing& issuing) {
  IssueRequest& request = issuing.request;
  if (!request.csr.empty() || std::exchange(issuing.key_is_ready, true)) co_return Result<void>();
  if (!request.key) {
    std::function<Result<void>()> make = [&request] { return make_key(request); };
    Result<void> made = co_await call(std::move(make));
    if (!made) co_return made;
  }
  if (request.keep_key) {
    std::function<Result<void>()> keep = [&request]() -> Result<void> {
      request.keep_key(*request.key);
      return {};
    };
    Result<void> kept = co_await call(std::move(keep));
    if (!kept) co_return kept.error().while_doing("storing the certificate's key");
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

Flow<Result<void>> keep_order(Issuing& issuing, std::string url) {
  if (!issuing.request.keep_order) co_return Result<void>();
  std::function<Result<void>()> keep = [&issuing, url]() -> Result<void> {
    issuing.request.keep_order(url);
    return {};
  };
  Result<void> kept = co_await call(std::move(keep));
  if (!kept) co_return kept.error().while_doing("storing the order's URL");
  co_return Result<void>();
}

Flow<Result<Order>> place_order(Issuing& issuing) {
  if (!issuing.request.resume_order.empty()) {
    Result<Order> earlier = co_await get_order(issuing.session, issuing.account, issuing.request.resume_order);
    if (!earlier && earlier.error().code() == Errc::cancelled) co_return earlier;
    if (earlier && can_be_resumed(*earlier, issuing)) {
      issuing.report(Step::order_resumed, earlier->url);
      co_return earlier;
    }
  }
  OrderRequest request = order_request(issuing.request);
  Result<Order> order = co_await new_order(issuing.session, issuing.account, request);
  if (!order && !request.replaces.empty() && order.error().problem()) {
    // `replaces` is a hint (RFC 9773 §5). If the CA rejects it for any reason, retry without it.
    issuing.report(Step::replaces_dropped, order.error().what());
    request.replaces.clear();
    order = co_await new_order(issuing.session, issuing.account, request);
  }
  if (!order) co_return order;
  issuing.report(Step::order_created, order->url);
  Result<void> kept = co_await keep_order(issuing, order->url);
  if (!kept) co_return kept.error();
  co_return order;
}

// ---- Authorizations ----

Result<void> choose_challenge(Issuing& issuing, Solving& solving) {
  const Authorization& authorization = solving.authorization;
  for (ChallengeSolver* solver : issuing.solvers) {
    const Challenge* challenge = authorization.find_challenge(solver->type());
    if (!challenge || !solver->can_solve(authorization.identifier, authorization.wildcard)) continue;
    const std::string doing = "preparing " + challenge->type + " for " + printable(display_name(authorization), 260);
    if (!challenge->token.empty() && !base::is_token(challenge->token)) {
      return Error(Errc::bad_response, doing,
                   "the token has characters a token cannot have: " + printable(challenge->token, 80));
    }
    solving.solver = solver;
    solving.context.identifier = authorization.identifier;
    solving.context.wildcard = authorization.wildcard;
    solving.context.type = challenge->type;
    solving.context.token = challenge->token;
    if (!challenge->token.empty()) {
      solving.context.key_authorization = issuing.account.key_authorization(challenge->token);
    }
    solving.context.challenge = *challenge;
    solving.context.account_url = issuing.account.url;
    return {};
  }
  std::string offered;
  for (const Challenge& challenge : authorization.challenges) {
    offered += (offered.empty() ? "" : ", ") + printable(challenge.type, 60);
  }
  std::string ours;
  for (const ChallengeSolver* solver : issuing.solvers)
    ours += (ours.empty() ? "" : ", ") + std::string(solver->type());
  std::string why =
      "the CA offers " + (offered.empty() ? "nothing" : offered) + ", and the solvers at hand are " + ours;
  if (authorization.wildcard) why += "; a wildcard can only be proven through DNS";
  return Error(Errc::not_offered, "choosing a challenge for " + printable(display_name(authorization), 260), why);
}

/// Fetches all authorizations before anything is presented: if one cannot be solved, the CA validates none of them.
Flow<Result<void>> plan_authorizations(Issuing& issuing, const Order& order) {
  std::vector<Flow<Result<Authorization>>> fetches;
  for (const std::string& url : order.authorizations) {
    fetches.push_back(get_authorization(issuing.session, issuing.account, url));
  }
  std::vector<Result<Authorization>> seen = co_await all(std::move(fetches), issuing.request.width);
  for (Result<Authorization>& authorization : seen) {
    if (!authorization) co_return authorization.error();
    if (authorization->status == AuthorizationStatus::valid) {
      issuing.report(Step::already_valid, display_name(*authorization));
      continue;
    }
    // Any other final state makes the order invalid; the poll that follows says why.
    if (authorization->status != AuthorizationStatus::pending) continue;
    issuing.solving.emplace_back(std::move(*authorization));
  }
  for (Solving& solving : issuing.solving) {
    if (Result<void> chosen = choose_challenge(issuing, solving); !chosen) co_return chosen;
  }
  co_return Result<void>();
}

/// Triggers the challenge. If the response is lost, asks the CA whether the request arrived before it repeats it.
Flow<Result<void>> trigger(Issuing& issuing, const Solving& solving, std::string response) {
  const Challenge& challenge = solving.context.challenge;
  Result<Challenge> triggered = co_await trigger_challenge(issuing.session, issuing.account, challenge, response);
  if (triggered) co_return Result<void>();
  if (!outcome_unknown(triggered.error())) co_return triggered.error();
  Result<Authorization> seen = co_await get_authorization(issuing.session, issuing.account, solving.authorization.url);
  if (!seen) co_return triggered.error();
  const Challenge* now_seen = seen->find_challenge(challenge.type);
  const bool heard =
      seen->status != AuthorizationStatus::pending || (now_seen && now_seen->status != ChallengeStatus::pending);
  if (heard) co_return Result<void>();
  triggered = co_await trigger_challenge(issuing.session, issuing.account, challenge, response);
  if (!triggered) co_return triggered.error();
  co_return Result<void>();
}

Flow<Result<void>> present_and_trigger(Issuing& issuing, Solving& solving) {
  if (issuing.abandoned) co_return Result<void>();
  const std::string name = display_name(solving.authorization);
  const std::string doing = "presenting " + solving.context.type + " for " + printable(name, 260);
  solving.presented = true;
  Result<void> presented = co_await solving.solver->present(solving.context);
  if (!presented) {
    issuing.abandoned = true;
    co_return presented.error().while_doing(doing);
  }
  issuing.report(Step::presented, name);
  if (issuing.abandoned) co_return Result<void>();

  const Challenge& challenge = solving.context.challenge;
  const bool untouched = challenge.status == ChallengeStatus::pending || challenge.status == ChallengeStatus::unknown;
  if (!untouched) co_return Result<void>();  // triggered by an earlier run
  Result<std::string> response = solving.solver->response(solving.context);
  if (!response) {
    issuing.abandoned = true;
    co_return response.error().while_doing(doing);
  }
  Result<void> triggered = co_await trigger(issuing, solving, *response);
  if (!triggered) {
    issuing.abandoned = true;
    co_return triggered;
  }
  issuing.report(Step::triggered, name);
  co_return Result<void>();
}

Flow<Result<Order>> present_and_wait(Issuing& issuing, const Order& order) {
  std::vector<Flow<Result<void>>> parts;
  for (Solving& solving : issuing.solving) parts.push_back(present_and_trigger(issuing, solving));
  const std::vector<Result<void>> outcomes = co_await all(std::move(parts), issuing.request.width);
  for (const Result<void>& outcome : outcomes) {
    if (!outcome) co_return outcome.error();
  }
  const std::optional<std::chrono::seconds> deadline = issuing.request.poll_deadline;
  if (issuing.solving.empty()) co_return co_await poll_order(issuing.session, issuing.account, order.url, deadline);
  // While the CA validates, generate and store the key that finalization needs.
  const Instant begun = co_await now();
  Result<void> ready = co_await ready_key(issuing);
  if (!ready) co_return ready.error();
  PollOptions options(deadline);
  options.begun = begun.steady;
  co_return co_await poll_order_until(issuing.session, issuing.account, order.url, OrderGoal::ready, options);
}

Flow<Result<void>> clean_up(Issuing& issuing) {
  std::vector<const Solving*> presented;
  std::vector<Flow<Result<void>>> parts;
  for (const Solving& solving : issuing.solving) {
    if (!solving.presented) continue;
    presented.push_back(&solving);
    parts.push_back(solving.solver->cleanup(solving.context));
  }
  const std::vector<Result<void>> outcomes = co_await all(std::move(parts), issuing.request.width);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i])
      issuing.report(Step::cleanup_failed,
                     display_name(presented[i]->authorization) + ": " + outcomes[i].error().what());
  }
  co_return Result<void>();
}

Flow<Result<Order>> validate(Issuing& issuing, Order order) {
  Result<void> planned = co_await plan_authorizations(issuing, order);
  if (!planned) co_return planned.error();
  Result<Order> outcome = co_await present_and_wait(issuing, order);
  // Runs after success, failure and cancellation alike.
  Result<void> cleaned = co_await shielded(clean_up(issuing));
  if (!cleaned) issuing.report(Step::cleanup_failed, cleaned.error().what());
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

Flow<Result<Order>> finalize_and_wait(Issuing& issuing, Order order) {
  Result<Bytes> csr = co_await prepare_csr(issuing);
  if (!csr) co_return csr.error();
  const std::vector<OnionCaa>& onion_caa = issuing.request.onion_caa;
  Result<Order> finalized = co_await finalize(issuing.session, issuing.account, order, *csr, onion_caa);
  if (!finalized && outcome_unknown(finalized.error())) {
    // The CA may have accepted it: the order shows that. If it is still ready, the CSR did not arrive.
    Result<Order> seen = co_await get_order(issuing.session, issuing.account, order.url);
    if (!seen) co_return finalized;
    if (seen->status == OrderStatus::ready) {
      finalized = co_await finalize(issuing.session, issuing.account, *seen, *csr, onion_caa);
    } else {
      finalized = std::move(seen);
    }
  }
  if (!finalized) co_return finalized;
  issuing.report(Step::finalized);
  const Instant begun = co_await now();
  PollOptions options(issuing.request.poll_deadline);
  options.begun = begun.steady;
  co_return co_await await_certificate(issuing.session, issuing.account, *finalized, options);
}

Result<void> check_certificate(const IssueRequest& request, const CertificateChain& chain) {
  constexpr std::string_view doing = "checking the new certificate";
  if (request.key && !chain.leaf.matches(*request.key)) {
    return Error(Errc::bad_response, doing,
                 "it is not for our key; it was downloaded from " + printable(chain.url, 200));
  }
  for (const Identifier& identifier : request.identifiers) {
    if (std::ranges::find(chain.leaf.identifiers, identifier) == chain.leaf.identifiers.end()) {
      return Error(Errc::bad_response, doing, "it does not name " + printable(identifier.value, 260));
    }
  }
  return {};
}
}  // namespace

Flow<Result<IssuedCertificate>> issue(Session session, Account account, IssueRequest request,
                                      std::vector<ChallengeSolver*> solvers) {
  const int nonce_retries = std::max(min_issue_nonce_retries, session.nonce_retries());
  Issuing issuing(session.with_nonce_retries(nonce_retries), std::move(account), std::move(request),
                  std::move(solvers));
  if (Result<void> prepared = prepare_request(issuing); !prepared) co_return prepared.error();
  Result<Order> order = co_await place_order(issuing);
  if (!order) co_return order.error();
  if (order->status == OrderStatus::pending) {
    order = co_await validate(issuing, *order);
    if (!order) co_return order.error();
  }
  if (order->status == OrderStatus::ready) {
    order = co_await finalize_and_wait(issuing, *order);
  } else {
    const PollOptions options(issuing.request.poll_deadline);
    order = co_await await_certificate(issuing.session, issuing.account, *order, options);
  }
  if (!order) co_return order.error();

  Result<CertificateChain> chain = co_await download_preferred_chain(
      issuing.session, issuing.account, order->certificate, issuing.request.preferred_chain);
  if (!chain) co_return chain.error();
  if (Result<void> checked = check_certificate(issuing.request, *chain); !checked) co_return checked.error();
  issuing.report(Step::downloaded, chain->url);

  IssuedCertificate issued;
  issued.chain_pem = chain->pem;
  issued.key = issuing.request.key;
  issued.identifiers = issuing.request.identifiers;
  issued.order = std::move(*order);
  issued.chain = std::move(*chain);
  co_return issued;
}

}  // namespace culmen::engine
