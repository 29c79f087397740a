#include "doctor/names.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "base/base64.hpp"
#include "base/name.hpp"
#include "base/text.hpp"
#include "crypto/random.hpp"
#include "dns/caa.hpp"
#include "dns/query.hpp"
#include "http/visit.hpp"

namespace culmen::doctor {

namespace {

using Verdict = Finding::Verdict;

constexpr std::size_t token_octets = 32;
constexpr int most_redirects = 10;         // as Boulder has it
constexpr std::size_t most_addresses = 4;  // of a name that are visited

std::string text_of(const std::vector<std::string>& texts) {
  std::string text;
  for (const std::string& one : texts) text += (text.empty() ? "" : ", ") + one;
  return text;
}

Result<std::vector<dns::Server>> servers_of(const CheckupRequest& request) {
  std::vector<dns::Server> servers;
  for (const std::string& text : request.dns_servers) {
    Result<dns::Server> server = dns::parse_server(text);
    if (!server) return server.error();
    servers.push_back(std::move(*server));
  }
  if (!servers.empty()) return servers;
  std::ifstream file("/etc/resolv.conf");
  return dns::servers_in(std::string(std::istreambuf_iterator<char>(file), {}));
}

/// What the DNS says of a name's addresses. A plain value.
struct Addresses {
  Addresses() = default;
  std::vector<std::string> all;  ///< IPv6 first, as CAs try them.
  std::string alias;
  dns::Rcode rcode = dns::Rcode::no_error;
};

Flow<Result<Addresses>> find_addresses(std::vector<dns::Server> servers, std::string name) {
  constexpr dns::Type types[] = {dns::Type::aaaa, dns::Type::a};
  Addresses found;
  for (const dns::Type type : types) {
    Result<dns::Answer> answer = co_await dns::query(servers, name, type);
    if (!answer) co_return answer.error();
    const bool says = answer->rcode == dns::Rcode::no_error || answer->rcode == dns::Rcode::no_such_name;
    if (!says || found.rcode == dns::Rcode::no_error) found.rcode = answer->rcode;
    if (!answer->alias.empty()) found.alias = answer->alias;
    for (const dns::Record& record : answer->records) {
      if (const std::optional<std::string> address = base::ip_from_octets(record.data)) found.all.push_back(*address);
    }
  }
  co_return found;
}

std::string rcode_text(dns::Rcode rcode) {
  switch (rcode) {
    case dns::Rcode::server_failure: return "SERVFAIL";
    case dns::Rcode::refused: return "REFUSED";
    case dns::Rcode::no_such_name: return "NXDOMAIN";
    case dns::Rcode::no_error: return "NOERROR";
  }
  return "error " + std::to_string(static_cast<int>(rcode));
}

/// What did not answer within its time: it is not waited for with every name.
using Silent = std::set<std::string>;

bool is_answered_by_server(const std::string& challenge) {
  return challenge == "http-01" || challenge == "tls-alpn-01" || challenge.empty();
}

/// One name.
class NameCheck {
 public:
  NameCheck(Findings& findings, const CheckupRequest& request, const Ca& ca, std::vector<dns::Server> servers,
            Identifier identifier, Silent& silent)
      : findings_(findings),
        request_(request),
        ca_(ca),
        servers_(std::move(servers)),
        silent_(silent),
        wildcard_(identifier.is_wildcard()),
        shown_(printable(identifier.value, 260)),
        name_(wildcard_ ? identifier.value.substr(2) : identifier.value),
        is_ip_(identifier.type == "ip") {}

  Flow<Result<void>> run();
  /// The DNS server does not answer: it need not be asked for other names.
  bool dns_is_down() const noexcept { return dns_is_down_; }

 private:
  Flow<Result<void>> look_up();
  Flow<Result<void>> check_caa();
  Flow<Result<void>> try_challenge();
  Flow<Result<void>> visit_all(std::string token, std::string wanted);
  Flow<Result<http::Visited>> fetch(std::string url, std::string address, int& redirects);
  void judge(const Result<http::Visited>& visited, const std::string& wanted, const std::string& where, int redirects);
  void add(Verdict verdict, std::string check, std::string found, std::string advice = {}) {
    findings_.add(verdict, std::move(check), shown_, std::move(found), std::move(advice));
  }

  Findings& findings_;
  const CheckupRequest& request_;
  const Ca& ca_;
  const std::vector<dns::Server> servers_;
  Silent& silent_;  ///< By address.
  const bool wildcard_;
  const std::string shown_, name_;
  const bool is_ip_;
  std::vector<std::string> addresses_;
  bool dns_is_down_ = false;
};

Flow<Result<void>> NameCheck::run() {
  if (name_.ends_with(".onion")) {
    add(Verdict::note, "dns", "an onion service is not in the DNS: it was not looked at");
    co_return Result<void>();
  }
  if (is_ip_) {
    addresses_ = {name_};
  } else {
    Result<void> looked = co_await look_up();
    if (!looked) co_return looked;
    if (dns_is_down_) co_return Result<void>();
    Result<void> caa = co_await check_caa();
    if (!caa) co_return caa;
  }
  if (is_answered_by_server(request_.spec.challenge) && wildcard_) {
    add(Verdict::refused, "challenge", "wildcards are proven through the DNS alone",
        "Use --challenge dns-01 with --dns-hook PROGRAM.");
    co_return Result<void>();
  }
  if (!request_.solver) co_return Result<void>();
  co_return co_await try_challenge();
}

Flow<Result<void>> NameCheck::look_up() {
  Result<Addresses> found = co_await find_addresses(servers_, name_);
  if (!found) {
    if (found.error().code() == Errc::cancelled) co_return found.error();
    dns_is_down_ = true;
    add(Verdict::temporary, "dns", found.error().what(),
        "Look at /etc/resolv.conf, or name a server with --dns-server.");
    co_return Result<void>();
  }
  const bool needs_address = is_answered_by_server(request_.spec.challenge) && !wildcard_;
  const std::string leads = found->alias.empty() ? "" : ", as alias of " + printable(found->alias, 260);
  addresses_ = found->all;
  if (found->all.empty()) {
    if (found->rcode == dns::Rcode::no_such_name && needs_address) {
      add(Verdict::refused, "dns", "the DNS has no such name" + leads,
          "Add an A or AAAA record with the address of this machine, or leave the name out.");
    } else if (found->rcode != dns::Rcode::no_error && found->rcode != dns::Rcode::no_such_name) {
      add(Verdict::temporary, "dns", "the DNS answers with " + rcode_text(found->rcode) + leads,
          "Look at the zone's name servers, and at DNSSEC: a broken signature gives SERVFAIL.");
    } else if (needs_address) {
      add(Verdict::refused, "dns", "it has neither an A nor an AAAA record" + leads,
          "Add one with the address of this machine, or leave the name out.");
    } else {
      add(Verdict::good, "dns", "it has no address, and " + request_.spec.challenge + " needs none" + leads);
    }
    co_return Result<void>();
  }
  std::vector<std::string> unreachable;
  std::ranges::copy_if(found->all, std::back_inserter(unreachable), is_private);
  if (needs_address && ca_.is_public && !unreachable.empty()) {
    add(Verdict::refused, "dns", text_of(found->all) + leads + "; the CA cannot reach " + text_of(unreachable),
        "Set the public address, or use --challenge dns-01.");
    co_return Result<void>();
  }
  add(Verdict::good, "dns", text_of(found->all) + leads);
  co_return Result<void>();
}

Flow<Result<void>> NameCheck::check_caa() {
  Result<dns::RelevantCaa> caa = co_await dns::find_caa(servers_, name_);
  if (!caa) {
    if (caa.error().code() == Errc::cancelled) co_return caa.error();
    add(Verdict::temporary, "caa", caa.error().what(),
        "CAs refuse names whose CAA records they cannot get: look at the zone's name servers.");
    co_return Result<void>();
  }
  if (caa->owner.empty()) {
    add(Verdict::good, "caa", "there are no CAA records: every CA may issue");
    co_return Result<void>();
  }
  const std::string owner = printable(caa->owner, 260);
  if (!ca_.answers || ca_.identities.empty()) {
    add(Verdict::note, "caa",
        "there are CAA records at " + owner + ", and the CA does not say by which name they mean it",
        "See whether they name this CA.");
    co_return Result<void>();
  }
  dns::CaaQuestion question;
  question.identities = ca_.identities;
  question.account = ca_.account ? ca_.account->url : std::string();
  question.challenge = request_.spec.challenge.empty() ? "http-01" : request_.spec.challenge;
  question.wildcard = wildcard_;
  const std::string obstacle = dns::obstacle_of(*caa, question);
  if (obstacle.empty()) {
    add(Verdict::good, "caa", "the records at " + owner + " allow this CA");
  } else {
    add(Verdict::refused, "caa", "the records at " + owner + " forbid it: " + obstacle,
        "Add to " + owner + ": CAA 0 " + (wildcard_ ? "issuewild" : "issue") + " \"" +
            printable(ca_.identities.front(), 80) + "\", or ask another CA.");
  }
  co_return Result<void>();
}

Flow<Result<void>> NameCheck::try_challenge() {
  ChallengeContext context;
  context.identifier = Identifier(is_ip_ ? "ip" : "dns", name_);
  context.type = request_.solver->type();
  const Bytes token = crypto::random_bytes(token_octets), thumbprint = crypto::random_bytes(token_octets);
  context.token = base::base64url_encode(token);
  context.key_authorization = ca_.account ? ca_.account->key_authorization(context.token)
                                          : context.token + "." + base::base64url_encode(thumbprint);
  std::function<Flow<Result<void>>()> present = [this, &context] { return request_.solver->present(context); };
  std::function<Flow<Result<void>>()> clean_up = [this, &context] { return request_.solver->cleanup(context); };
  Result<void> presented = co_await guarded<void>(present, "");
  Result<void> visited;
  if (presented && context.type == "http-01") visited = co_await visit_all(context.token, context.key_authorization);
  Flow<Result<void>> cleaning = shielded(guarded<void>(clean_up, ""));
  Result<void> cleaned = co_await std::move(cleaning);
  if (!presented) {
    if (presented.error().code() == Errc::cancelled) co_return presented;
    const std::string why = presented.error().what();
    if (request_.port_is_freed) {
      add(Verdict::note, "port", why, "A pre-hook is to free it before an order: that was not tried.");
    } else {
      add(Verdict::machine, "port", why);
    }
    co_return Result<void>();
  }
  if (!cleaned) add(Verdict::machine, "port", "cleaning up failed: " + std::string(cleaned.error().what()));
  if (context.type != "http-01")
    add(Verdict::good, "port",
        "the server for " + context.type + " can listen; whether the CA gets to port 443 was not tried");
  co_return visited;
}

Flow<Result<void>> NameCheck::visit_all(std::string token, std::string wanted) {
  const bool is_v6 = is_ip_ && name_.find(':') != std::string::npos;
  const std::string url = "http://" + (is_v6 ? "[" + name_ + "]" : name_) + "/.well-known/acme-challenge/" + token;
  if (request_.from_here == CheckupRequest::FromHere::no) {
    add(Verdict::good, "http", "the answer can be served; whether the CA gets it was not tried");
    co_return Result<void>();
  }
  if (request_.from_here == CheckupRequest::FromHere::local) {
    http::Visit local;
    local.url = url;
    local.address = request_.local_address;
    local.port = request_.local_port;
    const auto visited = std::make_shared<Result<http::Visited>>(http::Visited());
    std::function<Result<void>()> fetch_it = [local, visited]() -> Result<void> {
      *visited = http::visit_address(local);
      return {};
    };
    Result<void> done = co_await call(fetch_it);
    if (!done) co_return done;
    judge(*visited, wanted,
          "the server of this machine (" + local.address + ", port " + std::to_string(local.port) + ")", 0);
    co_return Result<void>();
  }
  if (addresses_.size() > most_addresses) addresses_.resize(most_addresses);
  for (const std::string& address : addresses_) {
    if (silent_.contains(address)) {
      add(Verdict::refused, "http",
          "port 80 of " + address + " was not tried again: it did not answer for another name");
      continue;
    }
    int redirects = 0;
    Result<http::Visited> visited = co_await fetch(url, address, redirects);
    if (!visited && redirects == 0 && visited.error().code() == Errc::timeout) silent_.insert(address);
    if (!visited && visited.error().code() == Errc::cancelled) co_return visited.error();
    judge(visited, wanted, "port 80 of " + address, redirects);
  }
  co_return Result<void>();
}

/// Follows redirects as CAs do: to names, by http and https, on their own ports.
Flow<Result<http::Visited>> NameCheck::fetch(std::string url, std::string address, int& redirects) {
  for (;; ++redirects) {
    Result<http::Origin> origin = http::origin_of(url);
    if (!origin) co_return origin.error();
    const bool is_http = origin->scheme == "http";
    const bool own_port = origin->port == (is_http ? 80 : 443) || (is_http && origin->port == request_.public_port);
    if (!own_port)
      co_return Error(Errc::bad_response, "following a redirect to " + printable(url, 200),
                      "CAs go to ports 80 and 443 alone");
    if (redirects > 0 && origin->host != name_) {
      if (base::canonical_ip(origin->host))
        co_return Error(Errc::bad_response, "following a redirect to " + printable(url, 200),
                        "CAs do not follow those to addresses");
      Result<Addresses> other = co_await find_addresses(servers_, origin->host);
      if (!other) co_return other.error();
      if (other->all.empty())
        co_return Error(Errc::connection_failed, "following a redirect to " + printable(url, 200),
                        "the DNS has no address of it");
      address = other->all.front();
    }
    http::Visit visit;
    visit.url = url;
    visit.address = address;
    visit.port = is_http ? request_.public_port : origin->port;
    const auto visited = std::make_shared<Result<http::Visited>>(http::Visited());
    std::function<Result<void>()> fetch_it = [visit, visited]() -> Result<void> {
      *visited = http::visit_address(visit);
      return {};
    };
    Result<void> done = co_await call(fetch_it);
    if (!done) co_return done.error();
    if (!*visited || (*visited)->redirect.empty()) co_return *visited;
    if (redirects == most_redirects)
      co_return Error(Errc::bad_response, "fetching " + printable(url, 200), "it redirects without end");
    url = (*visited)->redirect;
  }
}

void NameCheck::judge(const Result<http::Visited>& visited, const std::string& wanted, const std::string& where,
                      int redirects) {
  const bool local = request_.from_here == CheckupRequest::FromHere::local;
  const Verdict bad = local ? Verdict::machine : Verdict::refused;
  if (!visited) {
    const std::error_code code = visited.error().system_code();
    if (code == std::errc::network_unreachable || code == std::errc::address_not_available) {
      add(Verdict::note, "http", where + " was not tried: this machine has no such network",
          "If the address is not in use, remove its record: CAs try IPv6 first.");
      return;
    }
    add(bad, "http", where + " does not give the answer: " + std::string(visited.error().what()),
        local ? "See what listens there."
              : "Let port 80 through to this machine (firewall, router, the name's address). Where this network cannot "
                "reach "
                "its own public address, look from outside and give --from-here local.");
    return;
  }
  if (visited->status == 200 && base::trimmed(visited->body) == wanted) {
    add(Verdict::good, "http",
        where + " gives the answer" +
            (redirects == 0 ? std::string()
                            : " after " + std::to_string(redirects) + (redirects == 1 ? " redirect" : " redirects")));
    return;
  }
  const std::string got = visited->status == 200 ? "something else" : "status " + std::to_string(visited->status);
  add(bad, "http", where + " gives " + got + " in place of the answer" + (redirects > 0 ? ", after redirects" : ""),
      "Another server answers there. Give its document root with --webroot FOLDER, have it pass "
      "/.well-known/acme-challenge/ on "
      "(--http-port), or set the name's address to this machine.");
}

}  // namespace

Flow<Result<void>> check_names(Findings& findings, const CheckupRequest& request, const Ca& ca,
                               std::vector<Identifier> identifiers) {
  Result<std::vector<dns::Server>> servers = servers_of(request);
  if (!servers) co_return servers.error();
  Silent silent;
  bool dns_is_down = false;
  for (const Identifier& identifier : identifiers) {
    if (dns_is_down && identifier.type != "ip") continue;
    NameCheck check(findings, request, ca, *servers, identifier, silent);
    Result<void> checked = co_await check.run();
    if (!checked) co_return checked;
    dns_is_down = dns_is_down || check.dns_is_down();
  }
  co_return Result<void>();
}

bool is_private(const std::string& address) {
  const std::optional<Bytes> octets = base::ip_octets(address);
  if (!octets) return false;
  const Bytes& o = *octets;
  if (o.size() == 16) {
    // Only 2000::/3 is given out; 2001:db8::/32 is for documents.
    return (o[0] & 0xe0) != 0x20 || (o[0] == 0x20 && o[1] == 0x01 && o[2] == 0x0d && o[3] == 0xb8);
  }
  const auto begins = [&](int first, int second) { return o[0] == first && o[1] == second; };
  return o[0] == 0 || o[0] == 10 || o[0] == 127 || o[0] >= 224 || begins(169, 254) || begins(192, 168) ||
         (o[0] == 172 && (o[1] & 0xf0) == 16) || (o[0] == 100 && (o[1] & 0xc0) == 64) ||
         (o[0] == 198 && (o[1] & 0xfe) == 18) || (begins(192, 0) && (o[2] == 0 || o[2] == 2)) ||
         (begins(198, 51) && o[2] == 100) || (begins(203, 0) && o[2] == 113);
}

}  // namespace culmen::doctor
