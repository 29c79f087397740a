// Orders (RFC 8555 §7.4).
#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/time.hpp"
#include "testca/acme_server.hpp"
#include "testca/json_reader.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

std::optional<TimePoint> time_member(const json::object& object, std::string_view name) {
  auto text = string_member(object, name);
  if (!text) return std::nullopt;
  auto time = base::parse_rfc3339(*text);
  if (!time) throw malformed("\"" + std::string(name) + "\" is not an RFC 3339 time: " + *text);
  return time;
}

/// RFC 9444 §4.2: "ancestorDomain" of each identifier that has one. A CA that does not know the member ignores it.
std::map<std::string, std::string> read_ancestors(const json::object& request, bool known) {
  std::map<std::string, std::string> ancestors;
  if (!known) return ancestors;
  for (const json::value& value : request.at("identifiers").as_array()) {
    const json::object& identifier = value.as_object();
    const auto ancestor = string_member(identifier, "ancestorDomain");
    if (!ancestor) continue;
    const std::string name = required_string(identifier, "value");
    const bool above =
        !ancestor->empty() && name.ends_with("." + *ancestor) && required_string(identifier, "type") == "dns";
    if (!above) throw malformed("\"" + *ancestor + "\" is no domain above \"" + name + "\"");
    ancestors[name] = *ancestor;
  }
  return ancestors;
}

Problem why_invalid(const Authz& authz) {
  Problem problem = make_problem(403, "unauthorized", "the authorization is " + std::string(to_string(authz.state)));
  for (const auto& challenge : authz.challenges)
    if (challenge->error) problem = *challenge->error;
  problem.identifier = authz.identifier;
  return problem;
}

}  // namespace

Reply AcmeServer::new_order(Call& call) {
  json::object request = read_object(call.payload, "the payload");
  std::vector<Identifier> identifiers = read_identifiers(request.if_contains("identifiers"));
  check_onion_names(identifiers);
  const std::map<std::string, std::string> ancestors = read_ancestors(request, options_.subdomain_auth);
  std::optional<TimePoint> not_before = time_member(request, "notBefore");
  std::optional<TimePoint> not_after = time_member(request, "notAfter");
  if (not_after && *not_after <= not_before.value_or(now()))
    throw malformed("\"notAfter\" must be later than \"notBefore\" and than now");
  if (std::max(not_after.value_or(TimePoint()), not_before.value_or(TimePoint())) > authority_.not_after())
    throw malformed("the validity asked for ends after that of the CA");
  if (faults_.ignore_validity) not_before = not_after = std::nullopt;
  std::optional<StarRenewal> star = options_.auto_renewal ? read_star(request) : std::nullopt;
  IssuedCertificate* predecessor = nullptr;
  const std::optional<std::string> replaces = string_member(request, "replaces");
  if (replaces && options_.renewal_info) predecessor = &checked_predecessor(*replaces, *call.account, identifiers);
  std::optional<std::string> profile = string_member(request, "profile");
  if (faults_.ignore_profile) profile.reset();
  if (profile && !options_.profiles.contains(*profile))
    throw Refusal(400, "invalidProfile", "this CA has no profile \"" + *profile + "\"");
  if (!profile && !options_.profiles.empty() && !faults_.ignore_profile) profile = options_.profiles.begin()->first;

  auto made = std::make_unique<Order>(state_.random_id(), *call.account);
  made->identifiers = std::move(identifiers);
  made->expires = now() + options_.order_lifetime;
  if (not_before) made->not_before = base::format_rfc3339(*not_before);
  if (not_after) made->not_after = base::format_rfc3339(*not_after);
  made->profile = profile.value_or("");
  made->star = std::move(star);
  if (predecessor) made->replaces = *replaces;
  read_delegation(request, *made);
  // RFC 9115 §2.3.2: the owner of the names proves control of them, so an order for a delegation is ready at once.
  if (!faults_.empty_authorization_list && !made->delegation)
    for (const Identifier& identifier : made->identifiers) add_authz(*made, identifier, ancestors);
  for (const std::string& name : faults_.extra_authorizations)
    made->authzs.push_back(&make_authz(*call.account, Identifier::parse(name)));
  if (faults_.reorder_identifiers) {
    std::ranges::reverse(made->identifiers);
    if (!made->authzs.empty()) std::rotate(made->authzs.begin(), made->authzs.begin() + 1, made->authzs.end());
  }
  Order& order = *made;
  call.account->orders.push_back(&order);
  state_.orders[order.id] = std::move(made);
  if (predecessor) predecessor->replacement = order.id;
  update(order);
  Reply reply = order_reply(201, order);
  reply.add("Location", order_url(order));
  return reply;
}

void AcmeServer::add_authz(Order& order, const Identifier& identifier,
                           const std::map<std::string, std::string>& ancestors) {
  const auto ancestor = ancestors.find(identifier.value);
  if (ancestor == ancestors.end()) {
    order.authzs.push_back(&authz_for_order(*order.account, identifier));
    return;
  }
  const std::string start = identifier.is_wildcard() ? "*." : "";
  Authz& authz = authz_for_order(*order.account, Identifier("dns", start + ancestor->second), true);
  if (std::ranges::find(order.authzs, &authz) == order.authzs.end()) order.authzs.push_back(&authz);
}

Reply AcmeServer::order(Call& call) {
  Order& order = own_order(call);
  if (!call.is_post_as_get() && order.star) return cancel_star(order, call);
  if (!call.is_post_as_get()) throw malformed("an order can only be read: the payload must be empty");
  update(order);
  Reply reply = order_reply(200, order);
  if (order.looks_processing > 0) --order.looks_processing;
  for (Authz* authz : order.authzs)
    if (authz->state == AuthzState::valid && authz->looks_pending > 0) --authz->looks_pending;
  return reply;
}

Order& AcmeServer::own_order(const Call& call) {
  auto found = state_.orders.find(call.path[0]);
  if (found == state_.orders.end()) throw Refusal(404, "malformed", "there is no such order");
  if (found->second->account != call.account) throw unauthorized("the order belongs to another account");
  return *found->second;
}

/// What time and the authorizations have made of it (RFC 8555 §7.1.6).
void AcmeServer::update(Order& order) {
  if (order.state != OrderState::pending && order.state != OrderState::ready) return;
  if (order.expires <= now() || (order.star && order.star->end <= now())) {
    order.state = OrderState::invalid;
    order.error = make_problem(403, "malformed", "the order expired");
    return;
  }
  std::vector<Problem> failures;
  bool all_valid = true;
  for (Authz* authz : order.authzs) {
    update(*authz);
    bool is_dead = authz->state != AuthzState::valid && authz->state != AuthzState::pending;
    if (is_dead) failures.push_back(why_invalid(*authz));
    all_valid = all_valid && authz->state == AuthzState::valid && authz->looks_pending == 0;
  }
  if (!failures.empty()) {
    order.state = OrderState::invalid;
    order.error = combine(std::move(failures), "not every identifier was authorized");
  } else {
    order.state = all_valid ? OrderState::ready : OrderState::pending;
  }
}

OrderState AcmeServer::visible_state(const Order& order) const {
  const bool is_issued = order.looks_processing == 0 && order.issued <= now();
  return order.state == OrderState::valid && !is_issued ? OrderState::processing : order.state;
}

Reply AcmeServer::order_reply(int status, const Order& order) const {
  OrderState state = visible_state(order);
  json::array identifiers, authorizations;
  for (const Identifier& identifier : order.identifiers) identifiers.push_back(identifier_json(identifier));
  for (const Authz* authz : order.authzs) authorizations.push_back(json::value(authz_url(*authz)));
  json::object body{{"status", to_string(state)},
                    {"expires", base::format_rfc3339(order.expires)},
                    {"identifiers", std::move(identifiers)},
                    {"authorizations", std::move(authorizations)},
                    {"finalize", order_url(order) + "/finalize"}};
  if (!order.not_before.empty()) body["notBefore"] = order.not_before;
  if (!order.not_after.empty()) body["notAfter"] = order.not_after;
  if (!order.profile.empty()) body["profile"] = order.profile;
  if (order.error) body["error"] = to_json(*order.error);
  if (!order.replaces.empty()) body["replaces"] = order.replaces;
  if (order.star) body["auto-renewal"] = star_json(*order.star);
  if (order.delegation) body["delegation"] = delegation_url(*order.delegation);
  if (!order.star && (order.allow_get || order.delegation)) body["allow-certificate-get"] = order.allow_get;
  // RFC 8739 §3.1.1: a STAR order has "star-certificate" in place of "certificate".
  const bool has_star_certificate = order.star && (state == OrderState::valid || state == OrderState::canceled);
  if (has_star_certificate)
    body["star-certificate"] = star_url(order);
  else if (state == OrderState::valid)
    body["certificate"] = certificate_url(*order.certificate);
  Reply reply = json_reply(status, body);
  if (state == OrderState::processing || state == OrderState::pending) add_retry_after(reply);
  return reply;
}

}  // namespace culmen::testca
