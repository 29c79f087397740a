// A solver of your own from two functions: here for a web server that this program runs already.
//
//   04_custom_solver DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <cstdlib>
#include <iostream>

#include "culmen/blocking/acme_client.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/solver.hpp"

using namespace culmen;

namespace {

// Stands for whatever answers on port 80 in your program: a route can be added and taken away.
class YourWebServer {
 public:
  explicit YourWebServer(std::uint16_t port) : server_(port) { server_.start_thread(); }
  void add_route(const std::string& token, const std::string& body) {
    server_.add(token, body);
    std::cout << "GET /.well-known/acme-challenge/" << token << " is answered\n";
  }
  void remove_route(const std::string& token) {
    server_.remove(token);
    std::cout << "GET /.well-known/acme-challenge/" << token << " is 404 again\n";
  }

 private:
  Http01Solver server_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) throw std::invalid_argument("usage: 04_custom_solver DIRECTORY_URL NAME HTTP_PORT ROOT_FILE");
  YourWebServer server(static_cast<std::uint16_t>(std::atoi(argv[3])));

  // May block, and throw. cleanup is called once for every present, whatever happened in between.
  const auto solver = make_solver(
      "http-01",  //
      [&](const ChallengeContext& challenge) { server.add_route(challenge.token, challenge.key_authorization); },
      [&](const ChallengeContext& challenge) { server.remove_route(challenge.token); });

  ClientOptions options;
  options.transport.extra_root_file = argv[4];
  blocking::AcmeClient acme(argv[1], options);
  AccountOptions agreed;
  agreed.agree_tos = true;
  const Account account = acme.new_account(AccountKey::generate(), agreed);

  IssueRequest request(std::vector<std::string>{argv[2]});
  request.on_progress = [](const IssueProgress& progress) {
    std::cout << to_string(progress.step) << ' ' << progress.subject << '\n';
  };
  std::cout << acme.issue(account, request, *solver).chain_pem;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
