// Every function of both faces, in one story that is told three times: blocking, as coroutines, with completion tokens.
#include <doctest/doctest.h>

#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "base/time.hpp"
#include "culmen/asio/acme_client.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "culmen/onion.hpp"
#include "culmen/solver.hpp"
#include "support/local_ca.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

const char* const delegated_template = R"({
  "keyTypes": [{"PublicKeyType": "id-ecPublicKey", "namedCurve": "secp256r1", "SignatureType": "ecdsa-with-SHA256"}],
  "extensions": {"subjectAltName": {"DNS": ["one.owner.example"]}}
})";

TestCaOptions everything() {
  TestCaOptions options = {.orders_per_page = 100,
                           .dns_account = true,
                           .onion = TestCaOptions::Onion::rfc9799,
                           .subdomain_auth = true,
                           .auto_renewal = true,
                           .certificate_get = true};
  options.delegations.emplace_back(delegated_template);
  return options;
}

ClientOptions trusting(const std::string& root_file) {
  ClientOptions options;
  options.session.nonce_retries = 10;
  options.transport.extra_root_file = root_file;
  return options;
}

Flow<Result<int>> forty_two() {
  (void)co_await wait(1ms);
  co_return 42;
}

/// An io_context that runs on a thread of its own.
class Loop {
 public:
  Loop() : work_(asio::make_work_guard(context)), thread_([this] { context.run(); }) {}
  ~Loop() {
    work_.reset();
    thread_.join();
  }
  asio::io_context context;

 private:
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

// Each awaits what its face returns, so that the story reads as the blocking face does. Nothing in it throws: the
// standard library counts the references of an exception that goes to another thread where ThreadSanitizer does not see
// it.

class Coroutines {
 public:
  Coroutines(const std::string& url, const ClientOptions& options) : client_(wait(AcmeClient::connect(url, options))) {}
  Directory directory() const { return client_.directory(); }
  engine::Session session() const { return client_.session(); }
  auto new_account(auto&&... with) const { return wait(client_.new_account(std::forward<decltype(with)>(with)...)); }
  auto find_account(auto&&... with) const { return wait(client_.find_account(std::forward<decltype(with)>(with)...)); }
  auto get_account(auto&&... with) const { return wait(client_.get_account(std::forward<decltype(with)>(with)...)); }
  auto update_account(auto&&... with) const {
    return wait(client_.update_account(std::forward<decltype(with)>(with)...));
  }
  auto key_change(auto&&... with) const { return wait(client_.key_change(std::forward<decltype(with)>(with)...)); }
  auto deactivate_account(auto&&... with) const {
    return wait(client_.deactivate_account(std::forward<decltype(with)>(with)...));
  }
  auto list_orders(auto&&... with) const { return wait(client_.list_orders(std::forward<decltype(with)>(with)...)); }
  auto list_delegations(auto&&... with) const {
    return wait(client_.list_delegations(std::forward<decltype(with)>(with)...));
  }
  auto get_delegation(auto&&... with) const {
    return wait(client_.get_delegation(std::forward<decltype(with)>(with)...));
  }
  auto new_order(auto&&... with) const { return wait(client_.new_order(std::forward<decltype(with)>(with)...)); }
  auto get_order(auto&&... with) const { return wait(client_.get_order(std::forward<decltype(with)>(with)...)); }
  auto poll_order(auto&&... with) const { return wait(client_.poll_order(std::forward<decltype(with)>(with)...)); }
  auto finalize(auto&&... with) const { return wait(client_.finalize(std::forward<decltype(with)>(with)...)); }
  auto poll_certificate(auto&&... with) const {
    return wait(client_.poll_certificate(std::forward<decltype(with)>(with)...));
  }
  auto download_certificate(auto&&... with) const {
    return wait(client_.download_certificate(std::forward<decltype(with)>(with)...));
  }
  auto download_chain(auto&&... with) const {
    return wait(client_.download_chain(std::forward<decltype(with)>(with)...));
  }
  auto download_preferred_chain(auto&&... with) const {
    return wait(client_.download_preferred_chain(std::forward<decltype(with)>(with)...));
  }
  auto get_certificate(auto&&... with) const {
    return wait(client_.get_certificate(std::forward<decltype(with)>(with)...));
  }
  auto get_authorization(auto&&... with) const {
    return wait(client_.get_authorization(std::forward<decltype(with)>(with)...));
  }
  auto new_authorization(auto&&... with) const {
    return wait(client_.new_authorization(std::forward<decltype(with)>(with)...));
  }
  auto deactivate_authorization(auto&&... with) const {
    return wait(client_.deactivate_authorization(std::forward<decltype(with)>(with)...));
  }
  auto poll_authorization(auto&&... with) const {
    return wait(client_.poll_authorization(std::forward<decltype(with)>(with)...));
  }
  auto authorize(auto&&... with) const { return wait(client_.authorize(std::forward<decltype(with)>(with)...)); }
  auto trigger_challenge(auto&&... with) const {
    return wait(client_.trigger_challenge(std::forward<decltype(with)>(with)...));
  }
  auto trigger_challenge_onion(auto&&... with) const {
    return wait(client_.trigger_challenge_onion(std::forward<decltype(with)>(with)...));
  }
  auto revoke_certificate(auto&&... with) const {
    return wait(client_.revoke_certificate(std::forward<decltype(with)>(with)...));
  }
  auto revoke_certificate_with_cert_key(auto&&... with) const {
    return wait(client_.revoke_certificate_with_cert_key(std::forward<decltype(with)>(with)...));
  }
  auto get_renewal_info(auto&&... with) const {
    return wait(client_.get_renewal_info(std::forward<decltype(with)>(with)...));
  }
  auto new_star_order(auto&&... with) const {
    return wait(client_.new_star_order(std::forward<decltype(with)>(with)...));
  }
  auto get_star_order(auto&&... with) const {
    return wait(client_.get_star_order(std::forward<decltype(with)>(with)...));
  }
  auto cancel_star_order(auto&&... with) const {
    return wait(client_.cancel_star_order(std::forward<decltype(with)>(with)...));
  }
  auto download_star_certificate(auto&&... with) const {
    return wait(client_.download_star_certificate(std::forward<decltype(with)>(with)...));
  }
  auto get_star_certificate(auto&&... with) const {
    return wait(client_.get_star_certificate(std::forward<decltype(with)>(with)...));
  }
  auto issue(auto&&... with) const { return wait(client_.issue(std::forward<decltype(with)>(with)...)); }
  auto run(auto&&... with) const { return wait(client_.run(std::forward<decltype(with)>(with)...)); }

 private:
  template <class T>
  T wait(asio::awaitable<T> operation) const {
    return asio::co_spawn(loop_.context, std::move(operation), asio::use_future).get();
  }
  mutable Loop loop_;
  AcmeClient client_;
};

class Tokens {
 public:
  Tokens(const std::string& url, const ClientOptions& options)
      : client_(AcmeClient::async_connect(loop_.context.get_executor(), url, options, asio::use_future).get()) {}
  Directory directory() const { return client_.directory(); }
  engine::Session session() const { return client_.session(); }
  auto new_account(auto&&... with) const {
    return client_.async_new_account(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto find_account(auto&&... with) const {
    return client_.async_find_account(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto get_account(auto&&... with) const {
    return client_.async_get_account(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto update_account(auto&&... with) const {
    return client_.async_update_account(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto key_change(auto&&... with) const {
    return client_.async_key_change(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto deactivate_account(auto&&... with) const {
    return client_.async_deactivate_account(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto list_orders(auto&&... with) const {
    return client_.async_list_orders(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto list_delegations(auto&&... with) const {
    return client_.async_list_delegations(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto get_delegation(auto&&... with) const {
    return client_.async_get_delegation(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto new_order(auto&&... with) const {
    return client_.async_new_order(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto get_order(auto&&... with) const {
    return client_.async_get_order(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto poll_order(auto&&... with) const {
    if constexpr (sizeof...(with) == 2) {
      return client_.async_poll_order(std::forward<decltype(with)>(with)..., std::nullopt, asio::use_future).get();
    } else {
      return client_.async_poll_order(std::forward<decltype(with)>(with)..., asio::use_future).get();
    }
  }
  auto finalize(auto&&... with) const {
    return client_.async_finalize(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto poll_certificate(auto&&... with) const {
    if constexpr (sizeof...(with) == 2) {
      return client_.async_poll_certificate(std::forward<decltype(with)>(with)..., std::nullopt, asio::use_future)
          .get();
    } else {
      return client_.async_poll_certificate(std::forward<decltype(with)>(with)..., asio::use_future).get();
    }
  }
  auto download_certificate(auto&&... with) const {
    return client_.async_download_certificate(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto download_chain(auto&&... with) const {
    return client_.async_download_chain(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto download_preferred_chain(auto&&... with) const {
    return client_.async_download_preferred_chain(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto get_certificate(auto&&... with) const {
    return client_.async_get_certificate(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto get_authorization(auto&&... with) const {
    return client_.async_get_authorization(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto new_authorization(auto&&... with) const {
    if constexpr (sizeof...(with) == 2) {
      return client_.async_new_authorization(std::forward<decltype(with)>(with)..., false, asio::use_future).get();
    } else {
      return client_.async_new_authorization(std::forward<decltype(with)>(with)..., asio::use_future).get();
    }
  }
  auto deactivate_authorization(auto&&... with) const {
    return client_.async_deactivate_authorization(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto poll_authorization(auto&&... with) const {
    if constexpr (sizeof...(with) == 2) {
      return client_.async_poll_authorization(std::forward<decltype(with)>(with)..., std::nullopt, asio::use_future)
          .get();
    } else {
      return client_.async_poll_authorization(std::forward<decltype(with)>(with)..., asio::use_future).get();
    }
  }
  auto authorize(auto&&... with) const {
    return client_.async_authorize(std::forward<decltype(with)>(with)..., std::nullopt, asio::use_future).get();
  }
  auto trigger_challenge(auto&&... with) const {
    if constexpr (sizeof...(with) == 2) {
      return client_.async_trigger_challenge(std::forward<decltype(with)>(with)..., "{}", asio::use_future).get();
    } else {
      return client_.async_trigger_challenge(std::forward<decltype(with)>(with)..., asio::use_future).get();
    }
  }
  auto trigger_challenge_onion(auto&&... with) const {
    return client_.async_trigger_challenge_onion(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto revoke_certificate(auto&&... with) const {
    if constexpr (sizeof...(with) == 2) {
      return client_.async_revoke_certificate(std::forward<decltype(with)>(with)..., std::nullopt, asio::use_future)
          .get();
    } else {
      return client_.async_revoke_certificate(std::forward<decltype(with)>(with)..., asio::use_future).get();
    }
  }
  auto revoke_certificate_with_cert_key(auto&&... with) const {
    if constexpr (sizeof...(with) == 2) {
      return client_
          .async_revoke_certificate_with_cert_key(std::forward<decltype(with)>(with)..., std::nullopt, asio::use_future)
          .get();
    } else {
      return client_.async_revoke_certificate_with_cert_key(std::forward<decltype(with)>(with)..., asio::use_future)
          .get();
    }
  }
  auto get_renewal_info(auto&&... with) const {
    return client_.async_get_renewal_info(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto new_star_order(auto&&... with) const {
    return client_.async_new_star_order(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto get_star_order(auto&&... with) const {
    return client_.async_get_star_order(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto cancel_star_order(auto&&... with) const {
    return client_.async_cancel_star_order(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto download_star_certificate(auto&&... with) const {
    return client_.async_download_star_certificate(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto get_star_certificate(auto&&... with) const {
    return client_.async_get_star_certificate(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto issue(auto&&... with) const {
    return client_.async_issue(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }
  auto run(auto&&... with) const {
    return client_.async_run(std::forward<decltype(with)>(with)..., asio::use_future).get();
  }

 private:
  mutable Loop loop_;
  AcmeClient client_;
};

template <class Client>
Order validated(const Client& client, const Account& account, const Order& order) {
  for (const std::string& url : order.authorizations) {
    const Authorization pending = client.get_authorization(account, url);
    const Challenge triggered = client.trigger_challenge(account, pending.challenge("http-01"));
    CHECK(triggered.type == "http-01");
    CHECK(client.poll_authorization(account, url).status == AuthorizationStatus::valid);
  }
  return client.poll_order(account, order.url);
}

template <class Client>
void accounts(const Client& client) {
  AccountOptions options;
  options.contacts = {"mailto:one@example.com"};
  const Account made = client.new_account(AccountKey::generate(), options);
  CHECK(made.created);
  CHECK(client.find_account(made.key).url == made.url);
  CHECK(client.get_account(made).contacts == options.contacts);
  const std::vector<std::string> other = {"mailto:two@example.com"};
  CHECK(client.update_account(made, other).contacts == other);
  const Account rolled = client.key_change(made, AccountKey::generate());
  CHECK(rolled.url == made.url);
  CHECK(rolled.thumbprint() != made.thumbprint());
  CHECK(client.deactivate_account(rolled).status == AccountStatus::deactivated);
}

template <class Client>
void orders(const Client& client, const Account& account) {
  const std::vector<Identifier> names = {Identifier::dns("a.example")};
  const Order first = client.new_order(account, names);
  const Order second = client.new_order(account, OrderRequest(std::vector<Identifier>{Identifier::dns("b.example")}));
  CHECK(client.get_order(account, first.url).status == OrderStatus::pending);
  const std::vector<std::string> listed = client.list_orders(account);
  CHECK(std::vector<std::string>{first.url, second.url} == listed);

  const PrivateKey key = PrivateKey::generate();
  const Order done = client.finalize(account, validated(client, account, first), build_csr(names, key));
  CHECK(done.status == OrderStatus::valid);
  CHECK(client.poll_certificate(account, done.url).certificate == done.certificate);
  const std::string pem = client.download_certificate(account, done.certificate);
  CHECK(Certificate::from_pem(pem).matches(key));
  CHECK(client.download_chain(account, done.certificate).pem == pem);
  CHECK(client.download_preferred_chain(account, done.certificate, topmost_issuer(pem)).pem == pem);
  CHECK(client.get_renewal_info(pem).window_end > client.get_renewal_info(pem).window_start);
  client.revoke_certificate(account, Certificate::from_pem(pem).der);
}

template <class Client>
void authorizations(const Client& client, const Account& account) {
  const Authorization made = client.new_authorization(account, Identifier::dns("pre.example"));
  CHECK(made.status == AuthorizationStatus::pending);
  CHECK(client.new_authorization(account, Identifier::dns("parent.example"), true).subdomain_auth_allowed);
  CHECK(client.deactivate_authorization(account, made.url).status == AuthorizationStatus::deactivated);

  std::vector<std::string> steps;
  const auto solver = make_solver(
      "http-01", [&steps](const ChallengeContext&) { steps.emplace_back("present"); },
      [&steps](const ChallengeContext&) { steps.emplace_back("clean up"); });
  const std::vector<ChallengeSolver*> solvers = {solver.get()};
  const Authorization one = client.new_authorization(account, Identifier::dns("authorized.example"));
  CHECK(client.authorize(account, one.url, *solver).status == AuthorizationStatus::valid);
  const Authorization two = client.new_authorization(account, Identifier::dns("authorized-too.example"));
  CHECK(client.authorize(account, two.url, solvers).status == AuthorizationStatus::valid);
  CHECK(steps == std::vector<std::string>{"present", "clean up", "present", "clean up"});
}

std::string nonce_of(const Challenge& challenge) {
  const std::string start = "\"nonce\":\"";
  const std::size_t at = challenge.json.find(start) + start.size();
  return challenge.json.substr(at, challenge.json.find('"', at) - at);
}

template <class Client>
void onion_services(const Client& client, const Account& account) {
  const OnionKey onion = OnionKey::from_pem(PrivateKey::generate("ed25519").to_pem());
  const std::vector<Identifier> names = {Identifier::dns(onion.address())};
  const Order order = client.new_order(account, names);
  const Authorization pending = client.get_authorization(account, order.authorizations.at(0));
  const Challenge& challenge = pending.challenge("onion-csr-01");
  client.trigger_challenge_onion(account, challenge.url, build_onion_csr_rfc9799(nonce_of(challenge), onion));
  const Order ready = client.poll_order(account, order.url);
  const std::vector<OnionCaa> caa = {
      sign_onion_caa(onion, std::nullopt, std::chrono::system_clock::now() + std::chrono::hours(1))};
  const Order done = client.finalize(account, ready, build_csr(names, PrivateKey::generate()), caa);
  CHECK(done.status == OrderStatus::valid);
}

template <class Client>
void delegations(const Client& client, const Account& account) {
  const std::vector<std::string> urls = client.list_delegations(account);
  REQUIRE(urls.size() == 1);
  const Delegation delegation = client.get_delegation(account, urls[0]);
  OrderRequest request(std::vector<Identifier>{Identifier::dns("one.owner.example")});
  request.delegation = delegation.url;
  request.allow_certificate_get = true;
  const Order order = client.new_order(account, request);
  const PrivateKey key = PrivateKey::generate();
  const Order done =
      client.finalize(account, order, build_delegated_csr(delegation.csr_template, order.identifiers, key));
  CHECK(client.get_certificate(done.certificate).leaf.matches(key));
}

template <class Client>
void star_orders(const Client& client, const Account& account, TestCa& ca) {
  StarOrderParams params({Identifier::dns("star.example")}, base::format_rfc3339(ca.now() + 20 * 24h), 48h);
  params.allow_certificate_get = true;
  const StarOrder order = client.new_star_order(account, params);
  const PrivateKey key = PrivateKey::generate();
  client.finalize(account, validated(client, account, order), build_csr(order.identifiers, key));
  const StarOrder issued = client.get_star_order(account, order.url);
  const StarCertificate current = client.download_star_certificate(account, issued.star_certificate);
  CHECK(client.get_star_certificate(issued.star_certificate).pem == current.pem);
  CHECK(client.cancel_star_order(account, order.url).status == OrderStatus::canceled);
}

template <class Client>
void in_one_call(const Client& client, const Account& account) {
  const auto solver = make_solver(
      "http-01", [](const ChallengeContext&) {}, [](const ChallengeContext&) {});
  const IssuedCertificate issued = client.issue(account, IssueRequest{"one-call.example"}, *solver);
  CHECK(Certificate::from_pem(issued.chain_pem).matches(*issued.key));
  client.revoke_certificate_with_cert_key(*issued.key, Certificate::from_pem(issued.chain_pem).der);
  const std::vector<ChallengeSolver*> solvers = {solver.get()};
  CHECK(client.issue(account, IssueRequest{"two-calls.example"}, solvers).order.status == OrderStatus::valid);
}

template <class Client>
void every_verb() {
  LocalCa local(everything());
  // Each name is believed, but for onion services, whose CSR the CA can judge.
  for (const char* name : {"a.example", "star.example", "one-call.example", "two-calls.example", "authorized.example",
                           "authorized-too.example"}) {
    local.ca.force_validation(name, true);
  }
  const test::TemporaryFile root(local.ca.root_pem());
  const Client client(local.ca.directory_url(), trusting(root.path()));
  CHECK_FALSE(client.directory().new_order.empty());
  CHECK(client.session().directory().new_order == client.directory().new_order);
  CHECK(client.run(forty_two()) == 42);

  accounts(client);
  const Account account = client.new_account(AccountKey::generate(), AccountOptions());
  orders(client, account);
  authorizations(client, account);
  onion_services(client, account);
  delegations(client, account);
  star_orders(client, account, local.ca);
  in_one_call(client, account);
}

}  // namespace

TEST_CASE("every verb: blocking") { every_verb<blocking::AcmeClient>(); }
TEST_CASE("every verb: as coroutines") { every_verb<Coroutines>(); }
TEST_CASE("every verb: with completion tokens") { every_verb<Tokens>(); }
