#include "testca/acme_server.hpp"

#include <algorithm>
#include <cstdio>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/time.hpp"
#include "culmen/error.hpp"
#include "testca/authority_token.hpp"
#include "testca/json_reader.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

// A newAccount with the largest keys there are is 11 kB, a CSR for 100 names with such a key about the same.
constexpr std::size_t max_request_body = 256 * 1024;

Reply refusal_reply(const Refusal& refusal) {
  Reply reply(refusal.problem.status);
  reply.add("Content-Type", "application/problem+json");
  for (const auto& [name, value] : refusal.headers) reply.add(name, value);
  reply.body = json::serialize(to_json(refusal.problem));
  return reply;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// All links in one header, with what RFC 8288 allows and few servers send: relative targets, parameters before rel,
/// commas and semicolons in quotes, unquoted rel, other spelling.
void make_links_odd(Reply& reply, std::string_view base_url) {
  std::string joined;
  for (const auto& [name, value] : reply.headers) {
    if (name != "Link") continue;
    std::size_t end = value.find('>');
    std::string target = value.substr(1, end - 1);
    if (target.starts_with(base_url)) target.erase(0, base_url.size());
    std::string relation = value.substr(end + 7, value.size() - end - 8);  // >;rel="…"
    if (!joined.empty()) joined += " , ";
    joined += "<" + target + "> ; title=\"a, b; rel=\\\"no\\\"\"; REL=";
    joined += joined.size() % 2 == 0 ? relation : "\"x-other " + relation + "\"";
  }
  if (joined.empty()) return;
  reply.remove("Link");
  reply.add("link", joined);
}

}  // namespace

AcmeServer::AcmeServer(TestCaOptions options, std::map<std::string, Validator> validators)
    : options_(std::move(options)),
      validators_(std::move(validators)),
      token_authority_(read_token_authority(options_.token_authority_key)),
      base_url_(options_.base_url),
      faults_(options_.faults),
      state_(options_.seed),
      authority_(options_.chain_length, options_.alternate_roots, base::hex_encode(state_.random_octets(3)), now()) {}

TimePoint AcmeServer::now() const {
  const TimePoint time = options_.clock ? options_.clock() : std::chrono::system_clock::now();
  return time + std::chrono::seconds(clock_offset_.load());
}

Reply AcmeServer::handle(const Request& request) {
  using Kind = TestCaFault::Kind;
  Route route;
  std::optional<TestCaFault> fault;
  {
    std::lock_guard lock(mutex_);
    forget_expired();
    route = find_route(request.target, endpoint_prefix_);
    std::string name(route.resource ? route.resource->name : "unknown");
    ++counts_[name];
    ++counts_["total"];
    fault = plan_.take(name);
    if (!fault) fault = random_fault(faults_, state_);
  }
  const bool is_processed = !fault || fault->kind == Kind::drop_after || fault->kind == Kind::slow;
  Reply reply = is_processed ? checked(request, route) : faulty_reply(*fault, now());
  if (fault && fault->kind == Kind::drop_after) reply.delivery = Reply::Delivery::close;
  if (fault && fault->kind == Kind::slow) reply.after = fault->delay;
  decorate(request, route, reply);
  if (options_.verbose) {
    std::string line = "test-ca: " + request.method + " " + printable(request.target) + " -> " +
                       (reply.delivery == Reply::Delivery::close ? "dropped" : std::to_string(reply.status));
    if (reply.status >= 400) line += " " + printable(reply.body);
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  return reply;
}

void AcmeServer::plan(TestCaFault fault) {
  std::lock_guard lock(mutex_);
  plan_.add(std::move(fault));
}

void AcmeServer::set_faults(TestCaFaults faults) {
  std::lock_guard lock(mutex_);
  faults_ = std::move(faults);
}

void AcmeServer::force_validation(const std::string& identifier, std::optional<bool> outcome) {
  std::lock_guard lock(mutex_);
  if (outcome)
    forced_[identifier] = *outcome;
  else
    forced_.erase(identifier);
}

void AcmeServer::advance_clock(std::chrono::seconds by) { clock_offset_ += by.count(); }

void AcmeServer::set_endpoint_prefix(const std::string& prefix) {
  if (!prefix.empty() && !prefix.starts_with('/'))
    throw Error(Errc::invalid_argument, "moving the endpoints of a test CA", "the prefix must start with \"/\"");
  std::lock_guard lock(mutex_);
  endpoint_prefix_ = prefix;
}

void AcmeServer::count_connection() {
  std::lock_guard lock(mutex_);
  ++counts_["connections"];
}

std::map<std::string, int> AcmeServer::request_counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

void AcmeServer::reset_counts() {
  std::lock_guard lock(mutex_);
  counts_.clear();
}

TestCaSizes AcmeServer::sizes() const {
  std::lock_guard lock(mutex_);
  TestCaSizes sizes;
  sizes.accounts = state_.accounts.size();
  sizes.orders = state_.orders.size();
  sizes.authorizations = state_.authzs.size();
  sizes.certificates = state_.certificates.size();
  sizes.nonces = nonces_.size();
  return sizes;
}

std::vector<std::string> AcmeServer::issued() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> pems;
  for (const IssuedCertificate* certificate : state_.issued_in_order) pems.push_back(certificate->pem);
  return pems;
}

void AcmeServer::set_renewal_window(ByteView certificate_der, TimePoint start, TimePoint end) {
  constexpr const char* doing = "setting the renewal window of a certificate";
  if (end <= start) throw Error(Errc::invalid_argument, doing, "its end must be after its start");
  std::lock_guard lock(mutex_);
  auto found = state_.certificate_by_der.find(Bytes(certificate_der.begin(), certificate_der.end()));
  if (found == state_.certificate_by_der.end())
    throw Error(Errc::invalid_argument, doing, "this test CA did not issue it");
  found->second->renewal_window.emplace(start, end);
}

bool AcmeServer::is_revoked(ByteView certificate_der) const {
  std::lock_guard lock(mutex_);
  auto found = state_.certificate_by_der.find(Bytes(certificate_der.begin(), certificate_der.end()));
  return found != state_.certificate_by_der.end() && found->second->revoked;
}

const std::vector<AcmeServer::Resource>& AcmeServer::resources() {
  static const std::vector<Resource> table = {
      {"directory", "/directory", Signer::anyone, &AcmeServer::directory},
      {"new-nonce", "/acme/new-nonce", Signer::anyone, &AcmeServer::new_nonce, true},
      {"new-account", "/acme/new-account", Signer::key, &AcmeServer::new_account, true},
      {"account", "/acme/account/*", Signer::account, &AcmeServer::account},
      {"orders", "/acme/account/*/orders", Signer::account, &AcmeServer::orders},
      {"delegations", "/acme/account/*/delegations", Signer::account, &AcmeServer::delegations},
      {"delegation", "/acme/delegation/*", Signer::account, &AcmeServer::delegation},
      {"key-change", "/acme/key-change", Signer::account, &AcmeServer::key_change, true},
      {"new-order", "/acme/new-order", Signer::account, &AcmeServer::new_order, true},
      {"order", "/acme/order/*", Signer::account, &AcmeServer::order},
      {"finalize", "/acme/order/*/finalize", Signer::account, &AcmeServer::finalize},
      {"new-authz", "/acme/new-authz", Signer::account, &AcmeServer::new_authz, true},
      {"authz", "/acme/authz/*", Signer::account, &AcmeServer::authz},
      {"challenge", "/acme/challenge/*", Signer::account, &AcmeServer::challenge},
      {"certificate", "/acme/certificate/*", Signer::anyone, &AcmeServer::certificate},
      {"certificate", "/acme/certificate/*/*", Signer::anyone, &AcmeServer::certificate},
      {"star-certificate", "/acme/star/*", Signer::anyone, &AcmeServer::star_certificate},
      {"renewal-info", "/acme/renewal-info/*", Signer::anyone, &AcmeServer::renewal_info, true},
      {"revoke-cert", "/acme/revoke-cert", Signer::either, &AcmeServer::revoke_cert, true},
  };
  return table;
}

AcmeServer::Route AcmeServer::find_route(std::string_view target, std::string_view endpoint_prefix) {
  Route route;
  std::size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  const std::vector<std::string> as_it_is = split(path, '/');
  std::vector<std::string> below_prefix;
  if (path.starts_with(endpoint_prefix)) below_prefix = split(path.substr(endpoint_prefix.size()), '/');
  if (question != std::string_view::npos) route.query = target.substr(question + 1);
  for (const Resource& resource : resources()) {
    const std::vector<std::string>& segments = resource.is_endpoint ? below_prefix : as_it_is;
    std::vector<std::string> wanted = split(resource.pattern, '/');
    if (wanted.size() != segments.size()) continue;
    route.path.clear();
    bool fits = true;
    for (std::size_t i = 0; fits && i < wanted.size(); ++i) {
      if (wanted[i] == "*" && !segments[i].empty())
        route.path.push_back(segments[i]);
      else
        fits = wanted[i] == segments[i];
    }
    if (!fits) continue;
    route.resource = &resource;
    return route;
  }
  return route;
}

void AcmeServer::forget_expired() {
  const TimePoint time = now();
  if (time < next_sweep_ || outside_ > 0) return;
  next_sweep_ = time + std::max<std::chrono::seconds>(options_.keep_expired / 4, std::chrono::seconds(1));
  state_.forget_expired(time - options_.keep_expired);
}

Reply AcmeServer::checked(const Request& request, const Route& route) try {
  bool offered = route.resource && (route.resource->name != "new-authz" || options_.pre_authorization);
  if (!offered) throw Refusal(404, "malformed", "there is no such resource here");
  // RFC 8555 §6.1: "ACME clients MUST send a User-Agent header".
  if (request.header("user-agent").empty()) throw malformed("the request has no User-Agent header");
  if (request.method == "POST") return answer_post(request, route);
  return answer_get(request, route);
} catch (const Refusal& refusal) {
  return refusal_reply(refusal);
} catch (const std::exception& error) {
  return refusal_reply(Refusal(500, "serverInternal", error.what()));
}

Reply AcmeServer::answer_get(const Request& request, const Route& route) {
  bool is_get = request.method == "GET" || request.method == "HEAD";
  if (route.resource->signer != Signer::anyone || !is_get) {
    std::string allowed = route.resource->signer == Signer::anyone ? "GET, HEAD, POST" : "POST";
    throw Refusal(405, "malformed", request.method + " is not possible here; use " + allowed)
        .with_header("Allow", allowed);
  }
  std::unique_lock lock(mutex_);
  Call call(request, route.path, route.query, lock);
  return (this->*route.resource->answer)(call);
}

Reply AcmeServer::answer_post(const Request& request, const Route& route) {
  // The order of these checks is that of the ACME servers people meet.
  if (request.header("content-type") != "application/jose+json")
    throw Refusal(415, "malformed", "the Content-Type must be application/jose+json, and nothing more");
  if (request.has_header("replay-nonce"))
    throw malformed("Replay-Nonce is a response header; the nonce belongs into the protected header");
  if (request.body.size() > max_request_body) throw Refusal(413, "malformed", "the request body is too large");

  Signer signer = route.resource->signer == Signer::anyone ? Signer::account : route.resource->signer;
  Jws jws = read_signed_jws(read_object(request.body, "the request body"), "the request");
  std::string account_id;
  JwkKey key = key_of(jws, signer, account_id);
  verify_jws(jws, key.key, "the request");  // the slow part; no lock is held

  std::unique_lock lock(mutex_);
  check_nonce(jws.header);
  Call call(request, route.path, route.query, lock);
  call.url = url(request.target);
  // RFC 8555 §6.4: "If the two do not match, then the server MUST reject the request as unauthorized."
  if (required_string(jws.header, "url") != call.url)
    throw unauthorized("the protected header's \"url\" is not the URL of this request, " + call.url);
  call.payload = std::move(jws.payload);
  if (account_id.empty()) {
    call.jwk = std::move(key);
  } else {
    call.account = state_.find_account(account_id);
    bool changed = call.account->thumbprint != key.thumbprint || call.account->state != AccountState::valid;
    if (changed) throw Refusal(401, "unauthorized", "the account's key or status has just changed");
  }
  if (route.resource->signer == Signer::anyone && !call.is_post_as_get())
    throw malformed("this resource can only be read: the payload must be empty");
  return (this->*route.resource->answer)(call);
}

JwkKey AcmeServer::key_of(const Jws& jws, Signer signer, std::string& account_id) {
  const json::object* jwk = object_member(jws.header, "jwk");
  std::optional<std::string> kid = string_member(jws.header, "kid");
  // RFC 8555 §6.2: "The "jwk" and "kid" fields are mutually exclusive. Servers MUST reject requests that contain both."
  if (jwk && kid) throw malformed("the protected header has both \"jwk\" and \"kid\"");
  if (!jwk && !kid) throw malformed("the protected header has neither \"jwk\" nor \"kid\"");
  if (jwk && signer == Signer::account)
    throw malformed("this request must be signed by an account: \"kid\", not \"jwk\"");
  if (kid && signer == Signer::key) throw malformed("this request must carry the public key: \"jwk\", not \"kid\"");
  if (jwk) return read_jwk(*jwk);

  std::string prefix = url("/acme/account/");
  std::lock_guard lock(mutex_);
  Account* found =
      kid->starts_with(prefix) ? state_.find_account(std::string_view(*kid).substr(prefix.size())) : nullptr;
  if (!found) throw Refusal(400, "accountDoesNotExist", "\"kid\" is not the URL of an account here");
  // RFC 8555 §7.3.6: requests of a deactivated account are answered by 401 and unauthorized.
  if (found->state != AccountState::valid) throw Refusal(401, "unauthorized", "the account is deactivated");
  account_id = found->id;
  return JwkKey(found->key, found->thumbprint);
}

void AcmeServer::check_nonce(const json::object& header) {
  std::optional<std::string> nonce = string_member(header, "nonce");
  // RFC 8555 §6.5: badNonce when the nonce "was unacceptable (or not present)"; malformed when it is not base64url.
  if (!nonce) throw Refusal(400, "badNonce", "the protected header has no nonce");
  if (nonce->empty() || !base::base64url_decode(*nonce)) throw malformed("the nonce is not base64url");
  nonces_.forget_older_than(now() - options_.nonce_lifetime);
  bool good = nonces_.consume(*nonce);
  if (good) good = !state_.chance(faults_.reject_nonces_percent);
  if (!good) throw Refusal(400, "badNonce", "the nonce is not one of ours, or was used before");
}

void AcmeServer::decorate(const Request& request, const Route& route, Reply& reply) {
  std::lock_guard lock(mutex_);
  bool new_nonce = route.resource && route.resource->name == "new-nonce";
  bool is_directory = route.resource && route.resource->name == "directory";
  bool from_a_proxy = reply.header("content-type") == "text/html";
  if ((request.method == "POST" || new_nonce) && reply.delivery != Reply::Delivery::close && !from_a_proxy) {
    std::string nonce = state_.random_token();
    nonces_.add(nonce, now());
    reply.add("Replay-Nonce", nonce);
  }
  if (!is_directory) add_link(reply, directory_url(), "index");
  if (faults_.odd_links) make_links_odd(reply, base_url_);
  if (reply.header("cache-control").empty()) reply.add("Cache-Control", "no-store");
  reply.add("Date", base::format_http_date(now()));
  reply.add("Access-Control-Allow-Origin", "*");
  reply.add("Access-Control-Expose-Headers", "Link, Replay-Nonce, Location, Retry-After");
}

Reply AcmeServer::directory(Call&) {
  json::object meta;
  if (!options_.terms_of_service.empty()) meta["termsOfService"] = options_.terms_of_service;
  if (options_.external_account_required) meta["externalAccountRequired"] = true;
  if (!options_.profiles.empty()) {
    json::object profiles;
    for (const auto& [name, description] : options_.profiles) profiles[name] = description;
    meta["profiles"] = std::move(profiles);
  }
  if (options_.subdomain_auth) meta["subdomainAuthAllowed"] = true;
  if (options_.onion_caa_required) meta["inBandOnionCAARequired"] = true;
  if (options_.dns_persist != TestCaOptions::DnsPersist::off)
    meta["caaIdentities"] = json::array{json::value(options_.issuer_domain)};
  if (const std::string prefix = account_hash_prefix(); !prefix.empty()) {
    meta["issuerDomainNames"] = json::array{json::value(options_.issuer_domain)};
    meta["accountHashPrefix"] = prefix;
  }
  json::object body{{"newNonce", endpoint("/acme/new-nonce")},
                    {"newAccount", endpoint("/acme/new-account")},
                    {"newOrder", endpoint("/acme/new-order")},
                    {"revokeCert", endpoint("/acme/revoke-cert")},
                    {"keyChange", endpoint("/acme/key-change")}};
  if (options_.pre_authorization) body["newAuthz"] = endpoint("/acme/new-authz");
  if (options_.renewal_info) body["renewalInfo"] = endpoint("/acme/renewal-info");
  if (options_.auto_renewal) meta["auto-renewal"] = star_meta();
  if (!options_.delegations.empty()) meta["delegation-enabled"] = true;
  if (options_.certificate_get) meta["allow-certificate-get"] = true;
  if (faults_.strange_directory) {
    for (const char* name : {"termsOfService", "website", "caaIdentities", "externalAccountRequired", "profiles"})
      meta.emplace(name, nullptr);
    meta["futureThings"] = json::array{1, json::object{{"a", nullptr}}, "b"};
    body["futureEndpoint"] = json::object{{"nested", json::array{true, false}}};
    body["renewalInfo"] = nullptr;
    body[state_.random_token()] = "https://forum.example/why-is-there-a-random-entry-in-the-directory";
  }
  body["meta"] = std::move(meta);
  return json_reply(200, body);
}

Reply AcmeServer::new_nonce(Call& call) {
  // RFC 8555 §7.2: HEAD is answered 200, GET 204; "The server MUST include a Cache-Control header field with the
  // "no-store" directive".
  Reply reply(call.request.method == "HEAD" ? 200 : 204);
  reply.add("Cache-Control", "no-store");
  return reply;
}

void AcmeServer::add_retry_after(Reply& reply) const {
  if (faults_.retry_after) reply.add("Retry-After", retry_after_value(*faults_.retry_after, now()));
}

Reply json_reply(int status, const json::object& body) {
  Reply reply(status);
  reply.add("Content-Type", "application/json");
  reply.body = json::serialize(body);
  return reply;
}

void add_link(Reply& reply, std::string_view target, std::string_view relation) {
  reply.add("Link", "<" + std::string(target) + ">;rel=\"" + std::string(relation) + "\"");
}

}  // namespace culmen::testca
