// One call from names to a certificate, with callbacks: any completion token of Boost.Asio will do.
//
//   07_completion_tokens DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/http01_solver.hpp"

using namespace culmen;

namespace {

class Program {
 public:
  Program(std::string name, std::uint16_t http_port) : name_(std::move(name)), solver_(http_port) {}

  int run(const std::string& directory_url, const ClientOptions& options) {
    solver_.start_thread();
    AcmeClient::async_connect(loop_.get_executor(), directory_url, options,
                              [this](std::exception_ptr failed, AcmeClient client) {
                                if (!failed) return connected(client);
                                fail(failed);
                              });
    loop_.run();
    return exit_code_;
  }

 private:
  void connected(const AcmeClient& client) {
    AccountOptions agreed;
    agreed.agree_tos = true;
    client.async_new_account(AccountKey::generate(), agreed,
                             [this, client](std::exception_ptr failed, Account account) {
                               if (!failed) return registered(client, account);
                               fail(failed);
                             });
  }

  void registered(const AcmeClient& client, const Account& account) {
    const IssueRequest request(std::vector<std::string>{name_});
    client.async_issue(account, request, solver_, [this](std::exception_ptr failed, IssuedCertificate issued) {
      if (failed) return fail(failed);
      std::cout << issued.chain_pem;
      exit_code_ = 0;
    });
  }

  static void fail(const std::exception_ptr& failed) {
    try {
      std::rethrow_exception(failed);
    } catch (const std::exception& error) {  // an Error, with the CA's problem documents
      std::cerr << error.what() << '\n';
    }
  }

  std::string name_;
  Http01Solver solver_;
  boost::asio::io_context loop_;
  int exit_code_ = 1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: 07_completion_tokens DIRECTORY_URL NAME HTTP_PORT ROOT_FILE\n";
    return 2;
  }
  ClientOptions options;
  options.transport.extra_root_file = argv[4];
  return Program(argv[2], static_cast<std::uint16_t>(std::atoi(argv[3]))).run(argv[1], options);
}
