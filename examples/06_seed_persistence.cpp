// Step by step without an event loop, with a store: run it again, and it finds what it has.
//
//   06_seed_persistence DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
//
// For a CA that everybody trusts: DirectoryUrl::lets_encrypt_staging() until all works, for its rate limits are
// generous, then DirectoryUrl::lets_encrypt() with another folder.
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "culmen/blocking/directory.hpp"
#include "culmen/http01_solver.hpp"

using namespace culmen;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  if (argc != 5) throw std::invalid_argument("usage: 06_seed_persistence DIRECTORY_URL NAME HTTP_PORT ROOT_FILE");
  const std::string name = argv[2];
  ClientOptions options;
  options.transport.extra_root_file = argv[4];

  // Keys and certificates are kept in files below this folder.
  FilePersist persist(".");
  auto directory = blocking::DirectoryHandle::from_url(persist, DirectoryUrl::other(argv[1]), options);

  // Reads the account's key from the store, or makes one, and tells the CA.
  auto account = directory.account("foo@example.com");

  if (auto kept = account.certificate(name); kept && kept->valid_days_left() > 30) {
    std::cout << kept->certificate();
    return 0;
  }

  auto order = account.new_order(name, {"www." + name});
  Http01Solver web(static_cast<std::uint16_t>(std::atoi(argv[3])));
  web.start_thread();

  // Once all names are proven, which they may be at once if they were before, the order can be finished.
  while (!order.confirm_validations()) {
    for (const auto& auth : order.authorizations()) {
      if (!auth.need_challenge()) continue;
      auto challenge = auth.http_challenge();
      // http://NAME/.well-known/acme-challenge/<token> has to say <proof>: by this responder, or by your web server.
      web.add(challenge.http_token(), challenge.http_proof());
      challenge.validate(5s);
      web.remove(challenge.http_token());
    }
    order.refresh();
  }

  auto certificate = order.confirm_validations()->finalize_pkey(create_p384_key(), 5s).download_and_save_cert();
  std::cout << certificate.certificate();
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
