#include "solvers_on_demand.hpp"

#include <mutex>
#include <utility>

#include "command.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/tls_alpn01_solver.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

template <class Server>
class ServerOnDemand final : public ChallengeSolver {
 public:
  ServerOnDemand(int port, const std::string& address) : server_(static_cast<std::uint16_t>(port), address) {}

  std::string_view type() const noexcept override { return server_.type(); }
  bool can_solve(const Identifier& identifier, bool wildcard) const override {
    return server_.can_solve(identifier, wildcard);
  }
  Flow<Result<void>> present(ChallengeContext context) override {
    Result<void> started = result_of([this] { start(); });
    if (!started) co_return started.error();
    Flow<Result<void>> presenting = server_.present(std::move(context));
    co_return co_await std::move(presenting);
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override { return server_.cleanup(std::move(context)); }

 private:
  void start() {
    const std::lock_guard lock(mutex_);
    if (started_) return;
    server_.start_thread();
    started_ = true;
  }
  Server server_;
  std::mutex mutex_;
  bool started_ = false;
};

}  // namespace

std::shared_ptr<ChallengeSolver> ServerSolvers::at(const std::string& challenge, const HostSettings& settings) {
  if (challenge == "http-01" && !settings.webroot.empty()) return std::make_shared<WebrootSolver>(settings.webroot);
  const bool tls = challenge == "tls-alpn-01";
  if (!tls && challenge != "http-01")
    throw Failure(exit_usage, "invalid_argument", "\"" + challenge + "\" is not answered by a server");
  const int port = tls ? settings.tls_port : settings.http_port;
  const std::string& address = tls ? settings.tls_address : settings.http_address;
  const std::lock_guard lock(mutex_);
  std::shared_ptr<ChallengeSolver>& server = servers_[{challenge, port, address}];
  if (!server && tls) server = std::make_shared<ServerOnDemand<TlsAlpn01Solver>>(port, address);
  if (!server) server = std::make_shared<ServerOnDemand<Http01Solver>>(port, address);
  return server;
}

bool ServerSolvers::close_unused() {
  const std::lock_guard lock(mutex_);
  std::erase_if(servers_, [](const auto& entry) { return entry.second.use_count() == 1; });
  return servers_.empty();
}

}  // namespace culmen::cli
