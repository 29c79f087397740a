// Every step of RFC 8555 by hand, without an event loop.
//
//   03_seed_blocking DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "culmen/blocking/acme_client.hpp"
#include "culmen/csr.hpp"
#include "culmen/http01_solver.hpp"

using namespace culmen;

int main(int argc, char** argv) try {
  if (argc != 5) throw std::invalid_argument("usage: 03_seed_blocking DIRECTORY_URL NAME HTTP_PORT ROOT_FILE");
  auto key = AccountKey::generate("ec:P-256");
  ClientOptions options;
  options.transport.extra_root_file = argv[4];
  blocking::AcmeClient client(argv[1], options);

  AccountOptions opts;
  opts.contacts = {"mailto:ops@example.com"};
  opts.agree_tos = true;
  Account account = client.new_account(key, opts);

  std::vector<Identifier> ids;
  ids.push_back(Identifier::dns(argv[2]));
  Order order = client.new_order(account, ids);

  Http01Solver solver(static_cast<std::uint16_t>(std::atoi(argv[3])));
  solver.start_thread();
  for (const std::string& url : order.authorizations) {
    Authorization authz = client.get_authorization(account, url);
    if (authz.status == AuthorizationStatus::valid) continue;
    const Challenge& challenge = authz.challenge("http-01");
    solver.add(challenge.token, account.key_authorization(challenge.token));
    client.trigger_challenge(account, challenge);
    client.poll_authorization(account, url);
    solver.remove(challenge.token);
  }
  order = client.poll_order(account, order.url);

  auto cert_key = PrivateKey::generate("ec:P-256");
  std::vector<std::string> names = {argv[2]};
  order = client.finalize(account, order, build_csr(names, cert_key));
  std::string pem = client.download_certificate(account, order.certificate);
  std::ofstream("certificate.pem") << pem;
  std::cout << pem;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
