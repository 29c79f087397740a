// Many certificates through the library, with one account, on one thread; prints what it took as one line of JSON.
//
//   bench_many --server URL --root FILE --http-port P --count N --in-flight K --names M [--account-key FILE]
//
// With --account-key the account of that key is used, or registered; its URL stands in FILE.account-url. --count 0 only
// registers.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/asio/http01_solver.hpp"
#include "culmen/atomic_file.hpp"

using namespace culmen;

namespace {

struct Options {
  Options() = default;
  std::string server, root, account_key;
  std::uint16_t http_port = 0;
  std::size_t count = 1, in_flight = 1, names = 1;
};

struct Tally {
  Tally() = default;
  std::size_t begun = 0, issued = 0, failed = 0;
};

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string& flag = arguments[i];
    const std::string& value = arguments[i + 1];
    if (flag == "--server")
      options.server = value;
    else if (flag == "--root")
      options.root = value;
    else if (flag == "--account-key")
      options.account_key = value;
    else if (flag == "--http-port")
      options.http_port = static_cast<std::uint16_t>(std::stoul(value));
    else if (flag == "--count")
      options.count = std::stoul(value);
    else if (flag == "--in-flight")
      options.in_flight = std::stoul(value);
    else if (flag == "--names")
      options.names = std::stoul(value);
    else
      throw std::invalid_argument("there is no option " + flag);
  }
  if (options.server.empty() || options.http_port == 0 || arguments.size() % 2 != 0)
    throw std::invalid_argument(
        "usage: bench_many --server URL --root FILE --http-port P --count N --in-flight K "
        "--names M [--account-key FILE]");
  return options;
}

boost::asio::awaitable<Account> account_for(AcmeClient client, std::string key_file) {
  const std::string url_file = key_file + ".account-url";
  if (!key_file.empty()) {
    const std::optional<std::string> url = read_file(url_file);
    if (url) co_return Account(*url, AccountKey::from_pem(read_file(key_file).value()));
  }
  AccountKey key = AccountKey::generate("ec:P-256");
  AccountOptions options;
  options.contacts = {"mailto:bench@example.test"};
  options.agree_tos = true;
  Account account = co_await client.new_account(key, options);
  if (!key_file.empty()) {
    write_file_atomically(key_file, key.to_pem(), 0600);
    write_file_atomically(url_file, account.url);
  }
  co_return account;
}

/// Names that no other run of this program asks for: Pebble may reuse an authorization.
std::vector<std::string> names_of(std::size_t certificate, std::size_t count) {
  static const auto run = std::chrono::system_clock::now().time_since_epoch().count();
  std::vector<std::string> names;
  for (std::size_t j = 0; j < count; ++j)
    names.push_back("n" + std::to_string(certificate) + "-" + std::to_string(j) + ".r" + std::to_string(run) + ".test");
  return names;
}

/// One of those in flight: takes the next certificate until there is none left.
boost::asio::awaitable<void> work(AcmeClient client, Account account, ChallengeSolver& solver, const Options& options,
                                  Tally& tally) {
  while (tally.begun < options.count) {
    IssueRequest request(names_of(tally.begun++, options.names));
    try {
      co_await client.issue(account, request, solver);
      ++tally.issued;
    } catch (const std::exception& error) {
      ++tally.failed;
      std::cerr << error.what() << '\n';
    }
  }
}

boost::asio::awaitable<void> run(const Options& options, Tally& tally) {
  ClientOptions client_options;
  client_options.transport.extra_root_file = options.root;
  AcmeClient client = co_await AcmeClient::connect(options.server, client_options);
  Account account = co_await account_for(client, options.account_key);
  if (options.count == 0) co_return;

  Http01Solver solver(options.http_port, "127.0.0.1");
  co_await solver.start();
  const auto executor = co_await boost::asio::this_coro::executor;
  std::size_t at_work = std::min(options.in_flight, options.count);
  boost::asio::steady_timer all_done(executor, boost::asio::steady_timer::time_point::max());
  for (std::size_t i = at_work; i > 0; --i) {
    boost::asio::co_spawn(executor, work(client, account, solver, options, tally), [&](std::exception_ptr) {
      if (--at_work == 0) all_done.cancel();
    });
  }
  boost::system::error_code cancelled;
  co_await all_done.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
  solver.stop();
}

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

}  // namespace

int main(int argc, char** argv) try {
  const auto start = std::chrono::steady_clock::now();
  const Options options = parse_options(std::vector<std::string>(argv + 1, argv + argc));
  Tally tally;
  boost::asio::io_context loop(1);
  std::exception_ptr failed;
  boost::asio::co_spawn(loop, run(options, tally), [&](std::exception_ptr error) {
    failed = error;
    loop.stop();
  });
  loop.run();
  if (failed) std::rethrow_exception(failed);

  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  rusage cost{};
  getrusage(RUSAGE_SELF, &cost);
  std::printf("{\"certificates\":%zu,\"failed\":%zu,\"wall\":%.6f,\"cpu\":%.6f,\"memory_kib\":%ld}\n", tally.issued,
              tally.failed, wall.count(), seconds(cost.ru_utime) + seconds(cost.ru_stime), cost.ru_maxrss);
  return tally.failed == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "bench_many: " << error.what() << '\n';
  return 1;
}
