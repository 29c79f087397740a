#include "simulation/scripted_ca.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>

#include "base/base64.hpp"

namespace culmen::simulation {

namespace {
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t key_pool = 64;
constexpr std::string_view chain_begin = "certificate ";
constexpr hours order_lifetime(7 * 24);
/// The manager counts an order when it sends it; the CA when it arrives.
constexpr seconds counting_delay = minutes(5);
/// How long the record of a failed attempt may take to be stored.
constexpr seconds storing_time = minutes(3);
constexpr seconds slack(2);

/// From its attempts alone: see planner::back_off(). The smallest pause that the rules allow.
Duration shortest_pause(unsigned failures, Errc last, bool told_when, std::optional<Duration> life,
                        std::optional<Duration> left) {
  const auto twentieth = [&](Duration pause) { return life ? std::min(pause, *life / 20) : pause; };
  Duration limit = twentieth(hours(6));
  if (left) limit = std::min(limit, std::max(*left / 8, twentieth(minutes(10))));
  Duration pause = minutes(15);
  if (last == Errc::connection_failed || last == Errc::http_status) pause = minutes(1);
  if (last == Errc::rate_limited) pause = told_when ? Duration(minutes(1)) : Duration(hours(1));
  pause = std::min(pause, limit);
  for (unsigned i = 1; i < failures && pause < limit; ++i) pause = std::min(pause * 2, limit);
  return pause * 4 / 5;
}

Error refused(std::optional<seconds> retry_after, const std::string& why) {
  Problem problem;
  problem.type = "urn:ietf:params:acme:error:rateLimited";
  problem.detail = why;
  problem.status = 429;
  return Error(std::move(problem), "creating an order").with_http_status(429).with_retry_after(retry_after);
}
}  // namespace

ScriptedCas::ScriptedCas(ProcessDriver& driver, Monitor& monitor, std::uint64_t seed, std::size_t names,
                         std::vector<CaScript> scripts)
    : driver_(driver), monitor_(monitor), random_(seed), next_key_(names), newest_(names), newest_order_(names) {
  // The keys are the same for all seeds but for their octets, which no decision depends on.
  static const std::vector<PrivateKey> pool = [] {
    std::vector<PrivateKey> keys;
    for (std::size_t i = 0; i < key_pool; ++i) keys.push_back(PrivateKey::generate());
    return keys;
  }();
  keys_ = pool;
  for (std::size_t i = 0; i < key_pool; ++i) {
    pems_.push_back(pool[i].to_pem());
    public_keys_.push_back(pool[i].public_key_der());
    keys_by_pem_.emplace(pems_.back(), static_cast<std::uint8_t>(i));
  }
  for (CaScript& script : scripts) {
    cas_.emplace_back(std::move(script));
    Ca& ca = cas_.back();
    ca.buckets.resize(ca.script.limits.size());
    ca.histories.resize(names);
  }
  for (std::size_t i = 0; i < cas_.size(); ++i) {
    if (!cas_[i].script.incident) continue;
    driver_.at(*cas_[i].script.incident, [this, i] {
      std::size_t affected = 0;
      for (const std::uint32_t newest : newest_) {
        if (newest == 0 || issued_[newest - 1].ca != i || dice() >= cas_[i].script.incident_share) continue;
        issued_[newest - 1].affected = true;
        monitor_.note(issued_[newest - 1].name, 800, "the CA moves its window into the past");
        ++affected;
      }
      monitor_.note(Monitor::nobody, 801, std::to_string(affected) + " windows move into the past");
    });
  }
}

namespace {
/// The number of a certificate, from its CertID; SIZE_MAX if it is not one of ours.
std::size_t serial_of_id(const std::string& certificate_id) {
  const std::optional<Bytes> octets = base::base64url_decode(certificate_id.substr(certificate_id.find('.') + 1));
  if (!octets || octets->size() != 9) return SIZE_MAX;
  std::size_t number = 0;
  for (std::size_t i = 1; i < octets->size(); ++i) number = number << 8 | (*octets)[i];
  return number;
}
}  // namespace

// ---- The manager's seams ----

Flow<Result<IssuedCertificate>> ScriptedCas::issue(std::size_t manager, std::string directory, IssueRequest request) {
  const std::size_t ca = ca_of(directory);
  const std::optional<std::size_t> number = number_of(request.identifiers.front().value);
  const std::size_t name = number.value_or(0);
  for (unsigned failures = 0;;) {
    check_back_off(ca, name);
    IssueRequest copy = request;
    Result<IssuedCertificate> issued = co_await attempt(manager, ca, name, copy);
    History& history = cas_[ca].histories[name];
    if (!issued && issued.error().code() != Errc::cancelled) {
      const Errc code = issued.error().code();
      const bool by_ca = code == Errc::connection_failed || code == Errc::http_status || code == Errc::order_invalid ||
                         (code == Errc::rate_limited && issued.error().http_status() == 429);
      monitor_.note(name, 100 + static_cast<std::uint64_t>(code), issued.error().what());
      if (by_ca) {
        ++counts_.failed;
        ++history.failures;
        history.last = code;
        history.failed_at = driver_.now();
        history.retry_after = issued.error().retry_after();
      }
    }
    if (issued || !sleeps_in_job) co_return issued;
    // The planted bug: the worker does not give the certificate back.
    if (issued.error().code() == Errc::cancelled || ++failures > 20) co_return issued;
    const seconds pause = sleeps_in_job(failures);
    Result<void> slept = co_await wait(pause);
    if (!slept) co_return slept.error();
  }
}

Flow<Result<IssuedCertificate>> ScriptedCas::attempt(std::size_t manager, std::size_t ca_number, std::size_t name,
                                                     IssueRequest& request) {
  Ca& ca = cas_[ca_number];
  const milliseconds whole =
      ca.script.fastest + milliseconds(static_cast<std::int64_t>(
                              dice() * static_cast<double>((ca.script.slowest - ca.script.fastest).count())));
  const milliseconds step = whole / 3;
  Result<void> waited = co_await wait(std::min(step, milliseconds(500)));
  if (!waited) co_return waited.error();
  if (std::optional<Error> error = trouble(ca)) {
    waited = co_await wait(seconds(10));  // for the time-out
    if (!waited) co_return waited.error();
    co_return *error;
  }

  std::uint64_t number = 0;
  if (!request.resume_order.empty()) {
    const std::string& url = request.resume_order;
    std::from_chars(url.data() + url.rfind('/') + 1, url.data() + url.size(), number);
    const auto found = orders_.find(number);
    const bool usable = found != orders_.end() && found->second.ca == ca_number && found->second.name == name &&
                        found->second.state != State::invalid && found->second.expires > driver_.now() &&
                        (found->second.state != State::valid ||
                         (request.key && keys_by_pem_.at(request.key->to_pem()) == found->second.key));
    if (usable) {
      monitor_.note(name, 1, "manager " + std::to_string(manager) + " resumes order " + std::to_string(number));
    } else {
      number = 0;
    }
  }
  if (number == 0) {
    const bool refuses_replaces = !request.replaces.empty() && !names_predecessor(ca_number, name, request);
    Result<void> counted = co_await request.before_order(request.replaces);
    if (counted && refuses_replaces) {
      if (request.on_progress)
        request.on_progress(IssueProgress(IssueProgress::Step::replaces_dropped, "alreadyReplaced"));
      request.replaces.clear();
      counted = co_await request.before_order("");
    }
    if (!counted) co_return counted.error();
    Result<std::uint64_t> created = create_order(ca_number, name, request);
    if (!created) co_return created.error();
    number = *created;
    monitor_.note(name, 2,
                  "manager " + std::to_string(manager) + " orders " + std::to_string(number) + " at CA " +
                      std::to_string(ca_number));
    Result<void> stored = co_await request.store_order("https://ca" + std::to_string(ca_number) + ".example/order/" +
                                                       std::to_string(number));
    if (!stored) co_return stored.error();
    orders_.at(number).known = true;
  }

  if (orders_.at(number).state == State::pending) {
    waited = co_await wait(step);
    if (!waited) co_return waited.error();
    if (std::optional<Error> error = trouble(ca)) co_return *error;
    if (dice() < ca.script.invalid_share) {
      orders_.at(number).state = State::invalid;
      for (std::size_t i = 0; i < ca.script.limits.size(); ++i) {
        const RateLimit& limit = ca.script.limits[i];
        if (limit.counts == RateLimit::Counts::failed_validations) count(ca_number, limit, i, name);
      }
      Problem problem;
      problem.type = "urn:ietf:params:acme:error:connection";
      problem.detail = "timeout during connect";
      std::vector<Problem> problems(1, problem);
      co_return Error(Errc::order_invalid, "validating " + name_of(name)).with_problems(std::move(problems));
    }
    orders_.at(number).state = State::ready;
  }

  PrivateKey key;
  if (request.key) {
    key = *request.key;
  } else {
    next_key_[name] = static_cast<std::uint8_t>((next_key_[name] + 1) % key_pool);
    key = keys_[next_key_[name]];
  }
  if (orders_.at(number).state == State::ready) {
    Result<void> stored = co_await request.store_key(key);
    if (!stored) co_return stored.error();
    waited = co_await wait(step);
    if (!waited) co_return waited.error();
    if (std::optional<Error> error = trouble(ca)) co_return *error;
    Order& order = orders_.at(number);
    if (order.state == State::ready) {  // otherwise another manager was quicker
      order.key = keys_by_pem_.at(key.to_pem());
      issue_certificate(order);
    }
  }
  waited = co_await wait(step);
  if (!waited) co_return waited.error();
  if (std::optional<Error> error = trouble(ca)) co_return *error;
  const auto found = orders_.find(number);
  if (found == orders_.end() || keys_by_pem_.at(key.to_pem()) != found->second.key) {
    co_return Error(Errc::bad_response, "downloading the certificate", "it is for another key");
  }
  monitor_.note(name, 3,
                "manager " + std::to_string(manager) + " has certificate " + std::to_string(found->second.serial));
  co_return certificate(found->second,
                        "https://ca" + std::to_string(ca_number) + ".example/order/" + std::to_string(number), key);
}

Flow<Result<RenewalInfo>> ScriptedCas::renewal_info(std::size_t manager, std::string directory,
                                                    std::string certificate_id) {
  Ca& ca = cas_[ca_of(directory)];
  Result<void> waited = co_await wait(milliseconds(80));
  if (!waited) co_return waited.error();
  ++counts_.questions;
  if (!ca.script.offers_renewal_info) co_return Error(Errc::not_offered, "asking when to renew");
  if (std::optional<Error> error = trouble(ca)) co_return *error;
  const std::size_t serial = serial_of_id(certificate_id);
  if (serial >= issued_.size()) {
    co_return Error(Errc::malformed, "asking when to renew", "no certificate has that id").with_http_status(404);
  }
  Issued& issued = issued_[serial];
  const Time now = driver_.now();
  // Two managers may ask at the same time: the first answer counts.
  const bool at_the_same_time = manager != issued.asked_by && now < issued.asked_at + concurrency;
  if (now + slack < issued.next_ask && !at_the_same_time && ca.script.renewal_retry_after > concurrency &&
      !monitor_.was_disturbed(issued.name, issued.asked_at)) {
    monitor_.fail(issued.name, "the CA was asked when to renew certificate " + std::to_string(serial) +
                                   " before its Retry-After had passed");
  }
  RenewalInfo info;
  const auto [start, end] = window(issued);
  info.window_start = start;
  info.window_end = end;
  if (issued.affected) info.explanation_url = "https://ca.example/incident";
  info.retry_after = ca.script.renewal_retry_after / (halves_retry_after ? 2 : 1);
  check_questions(issued, serial, manager, ca);
  if (!at_the_same_time) {
    issued.asked_at = now;
    issued.asked_by = manager;
    issued.next_ask = now + ca.script.renewal_retry_after;
  }
  monitor_.note(issued.name, 4, issued.affected ? "the CA answers: renew at once" : "the CA answers when to renew");
  co_return info;
}

/// Of each manager by itself, so that it does not matter who asks at the same time. A disturbance explains one more.
void ScriptedCas::check_questions(Issued& issued, std::size_t serial, std::size_t manager, const Ca& ca) {
  const Time now = driver_.now();
  if (manager >= issued.questions.size()) return;
  if (issued.first_asked_at == Time()) {
    issued.first_asked_at = now;
    issued.disturbances = monitor_.disturbances(issued.name);
  }
  const std::uint16_t questions = ++issued.questions[manager];
  const auto passed = static_cast<std::size_t>((now + slack - issued.first_asked_at) / ca.script.renewal_retry_after);
  const std::size_t most = passed + 2 + monitor_.disturbances(issued.name) - issued.disturbances;
  if (questions <= most || monitor_.was_clock_stepped(issued.first_asked_at)) return;
  monitor_.fail(issued.name, "manager " + std::to_string(manager) + " has asked " + std::to_string(questions) +
                                 " times about certificate " + std::to_string(serial) +
                                 ", where its Retry-After allows " + std::to_string(most) + " questions");
}

std::vector<std::size_t> ScriptedCas::asked_lately(std::size_t manager) const {
  std::vector<std::size_t> names;
  for (const std::uint32_t newest : newest_) {
    if (newest == 0) continue;
    const Issued& issued = issued_[newest - 1];
    if (issued.asked_by == manager && driver_.now() - issued.asked_at < minutes(1)) names.push_back(issued.name);
  }
  return names;
}

void ScriptedCas::check_emergencies(std::size_t ca_number, std::size_t name) {
  const std::uint32_t newest = newest_[name];
  if (emergency_per_hour == 0 || newest == 0) return;
  const Issued& last = issued_[newest - 1];
  const Time now = driver_.now();
  // The earliest moment by lifetime, with the largest spread.
  const auto life = last.not_after - last.not_before;
  const Time by_lifetime = last.not_after - (life < hours(10 * 24) ? life / 2 : life / 3) - life / 20;
  if (!last.affected || now >= by_lifetime) return;
  std::deque<Time>& orders = cas_[ca_number].early_orders;
  while (!orders.empty() && now - orders.front() > hours(1) - counting_delay) orders.pop_front();
  orders.push_back(now);
  if (orders.size() <= emergency_per_hour) return;
  monitor_.fail(name, std::to_string(orders.size()) + " orders in an hour because of an incident, where " +
                          std::to_string(emergency_per_hour) + " are wanted");
}

// ---- The CAs ----

std::size_t ScriptedCas::ca_of(const std::string& directory) const {
  for (std::size_t i = 0; i < cas_.size(); ++i) {
    if (directory == ScriptedCas::directory(i)) return i;
  }
  throw Error(Errc::invalid_argument, "simulating a CA", "there is none at " + directory);
}

std::optional<Error> ScriptedCas::trouble(const Ca& ca) const {
  const Time now = driver_.now();
  if (contains(ca.script.down, now)) return Error(Errc::connection_failed, "sending a request", "the CA is down");
  if (contains(ca.script.failing, now)) {
    return Error(Errc::http_status, "sending a request", "internal error").with_http_status(500);
  }
  return std::nullopt;
}

void ScriptedCas::check_back_off(std::size_t ca, std::size_t name) {
  History& history = cas_[ca].histories[name];
  if (history.failures == 0) return;
  const Time now = driver_.now();
  // What was not stored may be forgotten.
  if (monitor_.was_disturbed(name, history.failed_at, history.failed_at + storing_time)) {
    --history.failures;
    return;
  }
  if (monitor_.was_clock_stepped(history.failed_at)) return;
  std::optional<Duration> life, left;
  if (const std::uint32_t newest = newest_[name]; newest != 0) {
    const Issued& issued = issued_[newest - 1];
    life = issued.not_after - issued.not_before;
    left = issued.affected ? Duration(0) : Duration(issued.not_after - now);
  }
  Duration shortest = shortest_pause(history.failures, history.last, history.retry_after.has_value(), life, left);
  if (history.retry_after) {
    const Duration longest = life ? std::clamp<Duration>(*life / 6, hours(24), hours(7 * 24)) : hours(7 * 24);
    shortest = std::max(shortest, std::min<Duration>(*history.retry_after, longest));
  }
  const Duration pause = now - history.failed_at;
  if (pause + slack >= shortest) return;
  const auto in_seconds = [](Duration duration) {
    return std::to_string(std::chrono::duration_cast<seconds>(duration).count());
  };
  monitor_.fail(name, "attempt " + std::to_string(history.failures + 1) + " in a row at CA " + std::to_string(ca) +
                          " comes " + in_seconds(pause) + " s after the last; the back-off is at least " +
                          in_seconds(shortest) + " s");
}

bool ScriptedCas::names_predecessor(std::size_t ca, std::size_t name, const IssueRequest& request) const {
  const std::uint32_t newest = newest_[name];
  return newest != 0 && issued_[newest - 1].ca == ca && certificate_id_of(newest - 1) == request.replaces &&
         !issued_[newest - 1].replaced;
}

Result<std::uint64_t> ScriptedCas::create_order(std::size_t ca_number, std::size_t name, IssueRequest& request) {
  Ca& ca = cas_[ca_number];
  const Time now = driver_.now();
  for (const Refusal& refusal : ca.script.refusals) {
    if (now < refusal.when.first || now >= refusal.when.second) continue;
    ++counts_.refused;
    if (refusal.retry_after) ca.blocked.emplace_back(now, now + *refusal.retry_after);
    return refused(refusal.retry_after, "too many orders");
  }
  const bool ari_exempt = names_predecessor(ca_number, name, request) && is_in_window(issued_[newest_[name] - 1]);
  if (std::optional<Error> error = count_order(ca_number, name, ari_exempt)) return *error;
  check_emergencies(ca_number, name);

  const auto before = orders_.find(newest_order_[name]);
  if (before != orders_.end()) {
    const Order& open = before->second;
    const bool is_open =
        open.ca == ca_number && open.expires > now && (open.state == State::pending || open.state == State::ready);
    if (is_open) {
      ++counts_.extra_orders;
      if (monitor_.disturbances(name) == open.disturbances) {
        monitor_.fail(name, "a second order at CA " + std::to_string(ca_number) + ", although order " +
                                std::to_string(before->first) + " is open");
      }
    }
    orders_.erase(before);
  }
  const std::uint64_t number = ++last_order_;
  Order order;
  order.name = static_cast<std::uint32_t>(name);
  order.ca = static_cast<std::uint8_t>(ca_number);
  order.created = now;
  order.expires = now + order_lifetime;
  order.disturbances = monitor_.disturbances(name);
  orders_.emplace(number, order);
  newest_order_[name] = number;
  ++counts_.orders;
  const std::int64_t hour = std::chrono::duration_cast<hours>(driver_.elapsed()).count();
  if (hour != hour_) {
    hour_ = hour;
    orders_this_hour_ = 0;
  }
  counts_.peak_an_hour = std::max(counts_.peak_an_hour, ++orders_this_hour_);
  return number;
}

double ScriptedCas::level(const Ca& ca, const RateLimit& limit, std::size_t index, std::size_t whom) const {
  const auto found = ca.buckets[index].find(whom);
  if (found == ca.buckets[index].end()) return 0;
  const double passed = std::chrono::duration<double>(driver_.now() - found->second.at).count();
  const double refilled = passed * limit.capacity / static_cast<double>(limit.window.count());
  return std::max(found->second.level - refilled, 0.0);
}

namespace {
std::size_t whom_concerns(const RateLimit& limit, std::size_t name) {
  switch (limit.scope) {
    case RateLimit::Scope::account: return 0;
    case RateLimit::Scope::registered_domain: return name / 10;
    case RateLimit::Scope::identifier_set:
    case RateLimit::Scope::identifier: break;
  }
  return name;
}
}  // namespace

void ScriptedCas::count(std::size_t ca_number, const RateLimit& limit, std::size_t index, std::size_t name) {
  Ca& ca = cas_[ca_number];
  const std::size_t whom = whom_concerns(limit, name);
  const double now_used = level(ca, limit, index, whom) + 1;
  const double tolerated =
      static_cast<double>(counting_delay.count()) * limit.capacity / static_cast<double>(limit.window.count());
  if (now_used > limit.capacity + tolerated + 1e-6) {
    ++counts_.crossings;
    monitor_.fail(name, "the limit " + limit.name + " of CA " + std::to_string(ca_number) +
                            " is crossed: " + std::to_string(now_used) + " of " + std::to_string(limit.capacity));
  }
  Bucket& bucket = ca.buckets[index][whom];
  bucket.level = now_used;
  bucket.at = driver_.now();
}

/// Counts what an order needs of the limits. The CA refuses an order beyond them.
std::optional<Error> ScriptedCas::count_order(std::size_t ca_number, std::size_t name, bool ari_exempt) {
  Ca& ca = cas_[ca_number];
  const bool renewal = ca.histories[name].had_certificate;
  for (std::size_t i = 0; i < ca.script.limits.size(); ++i) {
    const RateLimit& limit = ca.script.limits[i];
    if (limit.counts == RateLimit::Counts::failed_validations) continue;
    if ((limit.renewals_exempt && renewal) || (limit.ari_renewals_exempt && ari_exempt)) continue;
    count(ca_number, limit, i, name);
  }
  return std::nullopt;
}

void ScriptedCas::issue_certificate(Order& order) {
  const Time now = driver_.now();
  Ca& ca = cas_[order.ca];
  const seconds life = ca.script.lifetime;
  if (const std::uint32_t newest = newest_[order.name]; newest != 0) {
    Issued& last = issued_[newest - 1];
    const Duration age = now - last.issued_at;
    if (!last.affected && age < life / 10 && !monitor_.was_disturbed(order.name, last.issued_at)) {
      monitor_.fail(order.name, "issued twice within a tenth of its lifetime: certificate " +
                                    std::to_string(newest - 1) + " is " + in_days(age) + " old");
    }
    last.replaced = true;
  }
  Issued issued;
  issued.name = order.name;
  issued.ca = order.ca;
  issued.key = order.key;
  issued.issued_at = now;
  issued.not_before = std::chrono::floor<seconds>(now) - std::min(ca.script.backdated, life / 20);
  issued.not_after = issued.not_before + life;
  order.state = State::valid;
  order.serial = issued_.size();
  issued_.push_back(issued);
  newest_[order.name] = static_cast<std::uint32_t>(issued_.size());
  for (Ca& each : cas_) {
    each.histories[order.name].failures = 0;
    each.histories[order.name].retry_after.reset();
  }
  ca.histories[order.name].had_certificate = true;
  ++counts_.issued;
  monitor_.note(order.name, 5,
                "CA " + std::to_string(order.ca) + " issues certificate " + std::to_string(order.serial));
}

std::size_t ScriptedCas::seed_certificate(std::size_t name, std::chrono::seconds age) {
  Issued issued;
  issued.name = static_cast<std::uint32_t>(name);
  issued.key = static_cast<std::uint8_t>(name % key_pool);
  next_key_[name] = issued.key;
  issued.issued_at = driver_.now() - age;
  const CaScript& script = cas_[0].script;
  issued.not_before = std::chrono::floor<seconds>(issued.issued_at) - std::min(script.backdated, script.lifetime / 20);
  issued.not_after = issued.not_before + script.lifetime;
  issued_.push_back(issued);
  newest_[name] = static_cast<std::uint32_t>(issued_.size());
  cas_[0].histories[name].had_certificate = true;
  return issued_.size() - 1;
}

namespace {
constexpr std::size_t serial_octets = 9;

Bytes serial_of_number(std::size_t number) {
  Bytes serial(serial_octets, 0);
  serial[0] = 1;  // so that all have the same length
  for (std::size_t i = 0; i < 8; ++i) serial[serial_octets - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return serial;
}
}  // namespace

std::string ScriptedCas::certificate_id_of(std::size_t serial) const {
  Certificate certificate;
  certificate.serial = serial_of_number(serial);
  certificate.authority_key_identifier = Bytes(20, static_cast<std::uint8_t>(1 + issued_[serial].ca));
  return certificate_id(certificate);
}

std::string ScriptedCas::chain_text(std::size_t serial) const {
  return std::string(chain_begin) + std::to_string(serial) + "\n";
}

std::optional<std::size_t> ScriptedCas::serial_of(const std::string& chain) const {
  if (!chain.starts_with(chain_begin)) return std::nullopt;
  std::size_t serial = 0;
  const auto [rest, failed] = std::from_chars(chain.data() + chain_begin.size(), chain.data() + chain.size(), serial);
  if (failed != std::errc() || serial >= issued_.size()) return std::nullopt;
  return serial;
}

IssuedCertificate ScriptedCas::certificate(const Order& order, const std::string& url, const PrivateKey& key) const {
  const Issued& of = issued_[order.serial];
  IssuedCertificate issued;
  issued.chain_pem = chain_text(order.serial);
  issued.key = key;
  issued.identifiers.push_back(Identifier::dns(name_of(of.name)));
  issued.order.url = url;
  issued.chain.pem = issued.chain_pem;
  issued.chain.url = url + "/certificate";
  Certificate& leaf = issued.chain.leaf;
  leaf.identifiers = issued.identifiers;
  leaf.not_before = of.not_before;
  leaf.not_after = of.not_after;
  leaf.serial = serial_of_number(order.serial);
  leaf.authority_key_identifier = Bytes(20, static_cast<std::uint8_t>(1 + of.ca));
  leaf.public_key_der = public_keys_[of.key];
  return issued;
}

// As Boulder computes it.
std::pair<Time, Time> ScriptedCas::window(const Issued& issued) const {
  const Time now = driver_.now();
  if (issued.affected) return {now - minutes(60), now - minutes(30)};
  const auto life = issued.not_after - issued.not_before;
  const Time ideal = issued.not_after - (life < hours(10 * 24) ? life / 2 : life / 3);
  const auto whole = [](Time time) { return std::chrono::floor<seconds>(time); };
  return {whole(ideal - life / 100), whole(ideal + life / 100)};
}

bool ScriptedCas::is_in_window(const Issued& issued) const {
  const auto [start, end] = window(issued);
  const Time now = driver_.now();
  return start <= now && now < end;
}

}  // namespace culmen::simulation
