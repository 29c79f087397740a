// One call from names to a certificate, in a program without an event loop.
//
//   01_blocking_issue DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <cstdlib>
#include <iostream>

#include "culmen/atomic_file.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/http01_solver.hpp"

int main(int argc, char** argv) try {
  if (argc != 5) throw std::invalid_argument("usage: 01_blocking_issue DIRECTORY_URL NAME HTTP_PORT ROOT_FILE");
  culmen::ClientOptions options;
  options.transport.extra_root_file = argv[4];  // only for a private or test CA
  culmen::blocking::AcmeClient acme(argv[1], options);

  culmen::AccountOptions about_us;
  about_us.contacts = {"mailto:ops@example.com"};
  about_us.agree_tos = true;
  const culmen::Account account = acme.new_account(culmen::AccountKey::generate("ec:P-256"), about_us);

  culmen::Http01Solver solver(static_cast<std::uint16_t>(std::atoi(argv[3])));
  solver.start_thread();
  culmen::IssueRequest request(std::vector<std::string>{argv[2]});
  request.keep_key = [](const culmen::PrivateKey& key) {
    culmen::write_file_atomically("key.pem", key.to_pem(), 0600);
  };
  const culmen::IssuedCertificate issued = acme.issue(account, request, solver);

  culmen::write_file_atomically("fullchain.pem", issued.chain_pem);
  std::cout << issued.chain_pem;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
