// The example of the first seed, line by line: programs written like it keep working.
#include <doctest/doctest.h>

#include <future>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/asio/http01_solver.hpp"
#include "culmen/csr.hpp"
#include "support/local_ca.hpp"

using namespace culmen;

namespace {

boost::asio::awaitable<std::string> seed_example(std::string directory_url, std::string root_file) {
  auto key = AccountKey::generate("ec:P-256");
  ClientOptions options;
  options.transport.extra_root_file = root_file;
  AcmeClient client = co_await AcmeClient::connect(directory_url, options);

  AccountOptions opts;
  opts.contacts = {"mailto:ops@example.com"};
  opts.agree_tos = true;
  Account account = co_await client.new_account(key, opts);

  std::vector<Identifier> ids;
  ids.push_back(Identifier::dns("seed.example"));
  Order order = co_await client.new_order(account, ids);

  Http01Solver solver(0, "127.0.0.1");
  co_await solver.start();
  for (const std::string& url : order.authorizations) {
    Authorization authz = co_await client.get_authorization(account, url);
    if (authz.status == AuthorizationStatus::valid) continue;
    const Challenge& challenge = authz.challenge("http-01");
    co_await solver.present(challenge.token, account.key_authorization(challenge.token));
    co_await client.trigger_challenge(account, challenge);
    co_await client.poll_authorization(account, url);
    co_await solver.cleanup(challenge.token);
  }
  order = co_await client.poll_order(account, order.url);

  auto cert_key = PrivateKey::generate("ec:P-256");
  std::vector<std::string> names = {"seed.example"};
  order = co_await client.finalize(account, order, build_csr(names, cert_key));
  std::string pem = co_await client.download_certificate(account, order.certificate);
  solver.stop();
  co_return pem;
}

}  // namespace

TEST_CASE("seed: the example from key to certificate, line by line") {
  LocalCa local;
  local.ca.force_validation("seed.example", true);
  const test::TemporaryFile root(local.ca.root_pem());
  boost::asio::io_context loop;
  std::future<std::string> pem =
      boost::asio::co_spawn(loop, seed_example(local.ca.directory_url(), root.path()), boost::asio::use_future);
  loop.run();
  CHECK(pem.get().starts_with("-----BEGIN CERTIFICATE-----"));
}
