// The ACME protocol (RFC 8555, server side) as a function from request to reply. No sockets here: server.cpp brings
// requests, validation.cpp fetches.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "culmen/test_ca.hpp"
#include "testca/authority.hpp"
#include "testca/faults.hpp"
#include "testca/http_message.hpp"
#include "testca/jws_check.hpp"
#include "testca/nonces.hpp"
#include "testca/problem.hpp"
#include "testca/state.hpp"

namespace culmen::testca {

/// No validation takes longer, whatever the options say.
constexpr std::chrono::seconds max_validation_timeout{10};

/// One challenge to look at.
struct ValidationJob {
  ValidationJob(std::string type_, Identifier identifier_, std::string token_, std::string key_authorization_)
      : type(std::move(type_)),
        identifier(std::move(identifier_)),
        token(std::move(token_)),
        key_authorization(std::move(key_authorization_)) {}
  std::string type;
  Identifier identifier;  ///< Without "*.".
  std::string token;
  std::string key_authorization;
  bool wildcard = false;
  std::string account_url;
  std::string thumbprint;
  std::vector<std::string> former_thumbprints;
  std::string issuer_domain;
  std::string account_hash_prefix;  ///< dns-persist-01 of draft -02; empty: of an earlier one.
  std::int64_t now = 0;             ///< UNIX seconds.
};

/// Called once, from any thread, with what went wrong or nullopt.
using ValidationDone = std::function<void(std::optional<Problem>)>;
/// Starts looking and returns at once.
using Validator = std::function<void(const ValidationJob&, ValidationDone)>;

class AcmeServer {
 public:
  /// `validators` by challenge type; a type without one is offered, and fails when triggered.
  AcmeServer(TestCaOptions options, std::map<std::string, Validator> validators);

  /// "https://127.0.0.1:14000": the start of every URL. Not while requests are handled.
  void set_base_url(std::string base_url) { base_url_ = std::move(base_url); }
  const std::string& base_url() const noexcept { return base_url_; }
  std::string directory_url() const { return base_url_ + "/directory"; }

  /// Thread-safe; never throws, never waits for a validation.
  Reply handle(const Request& request);

  const Authority& authority() const { return authority_; }
  TimePoint now() const;

  // What TestCa offers; thread-safe.
  void plan(TestCaFault fault);
  void set_faults(TestCaFaults faults);
  void force_validation(const std::string& identifier, std::optional<bool> outcome);
  void advance_clock(std::chrono::seconds by);
  void set_endpoint_prefix(const std::string& prefix);
  void count_connection();
  std::map<std::string, int> request_counts() const;
  void reset_counts();
  TestCaSizes sizes() const;
  std::vector<std::string> issued() const;
  bool is_revoked(ByteView certificate_der) const;
  /// Throws Error (invalid_argument) for a certificate of another CA and for a window without width.
  void set_renewal_window(ByteView certificate_der, TimePoint start, TimePoint end);

 private:
  /// Who may ask: anyone by GET, a key (jwk), an account (kid), or either of the last two.
  enum class Signer { anyone, key, account, either };

  /// A request that passed the checks; the lock on everything below is held.
  struct Call {
    Call(const Request& request_, std::vector<std::string> path_, std::string query_,
         std::unique_lock<std::mutex>& lock_)
        : request(request_), path(std::move(path_)), query(std::move(query_)), lock(lock_) {}
    const Request& request;
    std::vector<std::string> path;  ///< What the "*" of the route stand for.
    std::string query;
    std::unique_lock<std::mutex>& lock;
    std::string url;
    Account* account = nullptr;  ///< When signed with kid.
    std::optional<JwkKey> jwk;   ///< When signed with jwk.
    std::string payload;
    bool is_post_as_get() const { return payload.empty(); }
  };

  struct Resource {
    std::string_view name;  ///< As in TestCaFault::resource.
    std::string_view pattern;
    Signer signer;
    Reply (AcmeServer::*answer)(Call&);
    bool is_endpoint = false;  ///< The directory lists it: its URL can move.
  };
  struct Route {
    const Resource* resource = nullptr;
    std::vector<std::string> path;
    std::string query;
  };
  static const std::vector<Resource>& resources();
  static Route find_route(std::string_view target, std::string_view endpoint_prefix);

  /// Lets other requests in while it exists; nothing is forgotten meanwhile.
  class Outside {
   public:
    Outside(AcmeServer& server, Call& call) : server_(server), lock_(call.lock) {
      ++server_.outside_;
      lock_.unlock();
    }
    ~Outside() {
      lock_.lock();
      --server_.outside_;
    }
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

   private:
    AcmeServer& server_;
    std::unique_lock<std::mutex>& lock_;
  };

  // acme_server.cpp
  void forget_expired();
  Reply checked(const Request& request, const Route& route);
  Reply answer_get(const Request& request, const Route& route);
  Reply answer_post(const Request& request, const Route& route);
  JwkKey key_of(const Jws& jws, Signer signer, std::string& account_id);
  void check_nonce(const boost::json::object& header);
  void decorate(const Request& request, const Route& route, Reply& reply);
  Reply directory(Call& call);
  Reply new_nonce(Call& call);

  // accounts.cpp
  Reply new_account(Call& call);
  Reply account(Call& call);
  Reply orders(Call& call);
  Reply key_change(Call& call);
  std::string verified_binding(const boost::json::object& binding, const Call& call) const;
  boost::json::object account_json(const Account& account) const;
  Reply account_reply(int status, const Account& account) const;

  // orders.cpp
  Reply new_order(Call& call);
  Reply order(Call& call);
  Order& own_order(const Call& call);
  void add_authz(Order& order, const Identifier& identifier, const std::map<std::string, std::string>& ancestors);
  void update(Order& order);
  OrderState visible_state(const Order& order) const;
  Reply order_reply(int status, const Order& order) const;

  // certificates.cpp
  Reply finalize(Call& call);
  Reply certificate(Call& call);
  Reply revoke_cert(Call& call);
  void issue(Order& order, ByteView csr_der, Call& call);
  /// Makes of it what the faults say.
  void distort(crypto::CertificateTemplate& what, const Order& order, const TestCaFaults& faults) const;
  /// Signs and keeps. What must be in step with the rest of the state has been drawn already.
  std::unique_ptr<IssuedCertificate> signed_certificate(const Order& order, std::string id, std::string thumbprint,
                                                        const crypto::CertificateTemplate& what) const;
  void keep(Order& order, std::unique_ptr<IssuedCertificate> made);
  bool may_revoke(const IssuedCertificate& certificate, const Call& call);

  // renewal_info.cpp
  Reply renewal_info(Call& call);
  IssuedCertificate& certificate_of_id(std::string_view id);
  IssuedCertificate& checked_predecessor(std::string_view id, const Account& account,
                                         const std::vector<Identifier>& identifiers);

  // delegation.cpp
  Reply delegations(Call& call);
  Reply delegation(Call& call);
  /// "delegation" and "allow-certificate-get" of newOrder. Throws Refusal.
  void read_delegation(const boost::json::object& request, Order& order) const;

  // star.cpp
  std::optional<StarRenewal> read_star(const boost::json::object& request) const;
  static boost::json::object star_json(const StarRenewal& star);
  boost::json::object star_meta() const;
  /// Issues the certificate that is the current one now, unless that has been done.
  void renew(Order& order);
  /// When certificate `number` is valid.
  static std::pair<TimePoint, TimePoint> star_validity(const StarRenewal& star, std::int64_t number);
  Reply star_certificate(Call& call);
  Reply cancel_star(Order& order, const Call& call);

  // authorizations.cpp
  Reply new_authz(Call& call);
  Reply authz(Call& call);
  Reply challenge(Call& call);
  Authz& make_authz(Account& account, const Identifier& identifier, bool subdomains = false);
  /// One to reuse, else a new one. `identifier` may be a wildcard.
  Authz& authz_for_order(Account& account, const Identifier& identifier, bool subdomains = false);
  void update(Authz& authz);
  bool is_offered(std::string_view type, const Authz& authz) const;
  void respond_to_onion(Challenge& challenge, const boost::json::object& response, const Call& call);
  /// What a client asks for in newOrder and newAuthz, checked: canonical DNS names (perhaps wildcards) and IP
  /// addresses. Throws Refusal with subproblems.
  std::vector<Identifier> read_identifiers(const boost::json::value* list) const;
  /// One of them; nullopt and `problem` filled in when it will not do.
  std::optional<Identifier> read_identifier(const boost::json::value& value, std::optional<Problem>& problem) const;
  boost::json::object identifier_json(const Identifier& identifier) const;
  void respond_to_token(Challenge& challenge, const boost::json::object& response, const Call& call);
  void check_onion_names(const std::vector<Identifier>& identifiers) const;
  std::string account_hash_prefix() const;
  void trigger(Challenge& challenge, Call& call);
  std::optional<Problem> ask_caller(const Challenge& challenge, Call& call);
  /// The outcome of a validation: visible at once, or after the delay.
  void decide(Challenge& challenge, std::optional<Problem> failure);
  void finish(Challenge& challenge);
  boost::json::object challenge_json(const Challenge& challenge) const;
  Reply authz_reply(int status, const Authz& authz) const;

  // URLs
  std::string url(std::string_view path) const { return base_url_ + std::string(path); }
  std::string endpoint(std::string_view path) const { return base_url_ + endpoint_prefix_ + std::string(path); }
  std::string account_url(const Account& account) const { return url("/acme/account/" + account.id); }
  std::string order_url(const Order& order) const { return url("/acme/order/" + order.id); }
  std::string authz_url(const Authz& authz) const { return url("/acme/authz/" + authz.id); }
  std::string challenge_url(const Challenge& challenge) const { return url("/acme/challenge/" + challenge.id); }
  std::string certificate_url(const IssuedCertificate& certificate) const {
    return url("/acme/certificate/" + certificate.id);
  }

  std::string delegation_url(std::size_t number) const { return url("/acme/delegation/" + std::to_string(number + 1)); }
  std::string star_url(const Order& order) const { return url("/acme/star/" + order.id); }

  void add_retry_after(Reply& reply) const;

  const TestCaOptions options_;
  const std::map<std::string, Validator> validators_;
  const std::optional<crypto::PublicKey> token_authority_;
  std::string base_url_;
  std::atomic<std::int64_t> clock_offset_ = 0;  ///< Seconds.

  mutable std::mutex mutex_;  ///< Guards all that follows, but not authority_, which does not change.
  TestCaFaults faults_;
  FaultPlan plan_;
  std::string endpoint_prefix_;
  TimePoint next_sweep_;
  int outside_ = 0;  ///< Requests inside Outside.
  State state_;
  Nonces nonces_;
  std::map<std::string, bool> forced_;
  std::map<std::string, int> counts_;
  const Authority authority_;
};

/// A reply with a JSON body.
Reply json_reply(int status, const boost::json::object& body);
/// `<target>;rel="relation"`.
void add_link(Reply& reply, std::string_view target, std::string_view relation);

/// Where a page of a list begins, from its query; 0 without one. Throws Refusal (404).
std::size_t first_of_page(const std::string& query);

/// The name of a certificate in ARI (RFC 9773 §4.1).
std::string certificate_id(ByteView der);

}  // namespace culmen::testca
