// Every step of RFC 8555 by hand, in a Boost.Asio program.
//
//   02_seed_awaitable DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/asio/http01_solver.hpp"
#include "culmen/csr.hpp"

using namespace culmen;

namespace {

boost::asio::awaitable<void> get_certificate(std::string directory_url, std::string name, std::uint16_t http_port,
                                             std::string root_file) {
  auto key = AccountKey::generate("ec:P-256");
  ClientOptions options;
  options.transport.extra_root_file = root_file;
  AcmeClient client = co_await AcmeClient::connect(directory_url, options);

  AccountOptions opts;
  opts.contacts = {"mailto:ops@example.com"};
  opts.agree_tos = true;
  Account account = co_await client.new_account(key, opts);

  std::vector<Identifier> ids;
  ids.push_back(Identifier::dns(name));
  Order order = co_await client.new_order(account, ids);

  Http01Solver solver(http_port);
  co_await solver.start();
  // Presents the challenge, triggers it, waits for the CA, and cleans up, also if validation fails.
  for (const std::string& url : order.authorizations) co_await client.authorize(account, url, solver);
  order = co_await client.poll_order(account, order.url);

  auto cert_key = PrivateKey::generate("ec:P-256");
  std::vector<std::string> names = {name};
  order = co_await client.finalize(account, order, build_csr(names, cert_key));
  std::string pem = co_await client.download_certificate(account, order.certificate);
  std::ofstream("certificate.pem") << pem;
  std::cout << pem;
  solver.stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: 02_seed_awaitable DIRECTORY_URL NAME HTTP_PORT ROOT_FILE\n";
    return 2;
  }
  boost::asio::io_context loop;
  int exit_code = 0;
  boost::asio::co_spawn(loop,
                        get_certificate(argv[1], argv[2], static_cast<std::uint16_t>(std::atoi(argv[3])), argv[4]),
                        [&](std::exception_ptr failed) {
                          try {
                            if (failed) std::rethrow_exception(failed);
                          } catch (const std::exception& error) {
                            std::cerr << error.what() << '\n';
                            exit_code = 1;
                          }
                          loop.stop();
                        });
  loop.run();
  return exit_code;
}
