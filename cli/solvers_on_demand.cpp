#include "solvers_on_demand.hpp"

#include <unistd.h>

#include <chrono>
#include <mutex>
#include <set>
#include <utility>

#include "command.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/tls_alpn01_solver.hpp"
#include "output.hpp"
#include "port_holder.hpp"

namespace culmen::cli {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds port_pause(200);
constexpr std::chrono::seconds longest_wait_for_another(10);
// Within this process the port is free again when the other order is done.
constexpr std::chrono::minutes longest_wait_for_own(5);

void stop_serving(Http01Solver& server) noexcept { server.stop(); }
void stop_serving(TlsAlpn01Solver& server) noexcept { server.cleanup(); }

/// Listens while there are challenges to be answered.
template <class Server>
class ServerOnDemand final : public ChallengeSolver {
 public:
  ServerOnDemand(int port, const std::string& address, Output& output)
      : port_(static_cast<std::uint16_t>(port)), output_(output), server_(port_, address) {}

  std::string_view type() const noexcept override { return server_.type(); }
  bool can_solve(const Identifier& identifier, bool wildcard) const override {
    return server_.can_solve(identifier, wildcard);
  }
  Flow<Result<void>> present(ChallengeContext context) override {
    const SteadyClock::time_point begin = SteadyClock::now();
    const std::string subject(type());
    bool has_waited = false;
    Result<void> started = result_of([&] { start(context.token); });
    while (!started && started.error().system_code() == std::errc::address_in_use) {
      const std::optional<PortHolder> holder = holder_of_port(port_);
      const bool is_own = holder && holder->process == getpid();
      const bool is_culmen = holder && holder->program == "culmen";
      // Another program may hold it for ever. Of nobody that can be seen: it may have become free just now.
      if (holder && !is_own && !is_culmen) {
        started = naming(*holder, started.error());
        break;
      }
      const auto waited = SteadyClock::now() - begin;
      if (waited > (is_own ? SteadyClock::duration(longest_wait_for_own) : longest_wait_for_another)) {
        if (holder) started = held_by(*holder);
        break;
      }
      has_waited = true;
      output_.progress(subject, "waiting for port " + std::to_string(port_),
                       is_own || !holder ? "" : "which culmen has (process " + std::to_string(holder->process) + ")");
      Result<void> paused = co_await wait(port_pause);
      if (!paused) {
        started = paused.error();
        break;
      }
      started = result_of([&] { start(context.token); });
    }
    if (has_waited) output_.progress_ended(subject);
    if (!started) co_return started.error();
    Flow<Result<void>> presenting = server_.present(std::move(context));
    co_return co_await std::move(presenting);
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override {
    const std::string token = context.token;
    Flow<Result<void>> cleaning = server_.cleanup(std::move(context));
    Result<void> cleaned = co_await std::move(cleaning);
    const std::lock_guard lock(mutex_);
    if (tokens_.erase(token) > 0 && tokens_.empty()) stop_serving(server_);
    co_return cleaned;
  }

 private:
  void start(const std::string& token) {
    const std::lock_guard lock(mutex_);
    if (tokens_.empty()) server_.start_thread();
    tokens_.insert(token);
  }
  Error held_by(const PortHolder& holder) const {
    const bool is_own = holder.process == getpid();
    return Error(
        Errc::held, "listening for " + std::string(type()) + " on port " + std::to_string(port_),
        is_own
            ? "the order of another certificate has used the port for too long"
            : "another culmen (process " + std::to_string(holder.process) + ") has the port, and did not free it in " +
                  std::to_string(longest_wait_for_another.count()) + " s; run this command again when it has ended");
  }

  static Error naming(const PortHolder& holder, const Error& error) {
    constexpr std::string_view unnamed = "another program";
    std::string detail = error.detail();
    const std::size_t at = detail.find(unnamed);
    if (at == std::string::npos) return error;
    detail.replace(at, unnamed.size(), printable(holder.program) + " (process " + std::to_string(holder.process) + ")");
    return Error(error.code(), error.doing(), detail).with_system_code(error.system_code());
  }

  const std::uint16_t port_;
  Output& output_;
  Server server_;
  std::mutex mutex_;
  std::set<std::string> tokens_;  ///< Of the challenges that it answers.
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
  // A server on all addresses answers on each of them.
  if (const auto all = servers_.find({challenge, port, ""}); all != servers_.end()) return all->second;
  std::shared_ptr<ChallengeSolver>& server = servers_[{challenge, port, address}];
  if (!server && tls) server = std::make_shared<ServerOnDemand<TlsAlpn01Solver>>(port, address, output_);
  if (!server) server = std::make_shared<ServerOnDemand<Http01Solver>>(port, address, output_);
  return server;
}

bool ServerSolvers::close_unused() {
  const std::lock_guard lock(mutex_);
  std::erase_if(servers_, [](const auto& entry) { return entry.second.use_count() == 1; });
  return servers_.empty();
}

}  // namespace culmen::cli
