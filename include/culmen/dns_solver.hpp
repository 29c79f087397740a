// Solvers for the DNS challenges: dns-01, dns-account-01 and dns-persist-01.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/cancel_token.hpp"
#include "culmen/directory.hpp"
#include "culmen/dns_helpers.hpp"
#include "culmen/solver.hpp"

namespace culmen {

/// One TXT value at one name. A plain value.
struct TxtRecord {
  TxtRecord(std::string name_, std::string value_) : name(std::move(name_)), value(std::move(value_)) {}
  std::string name;
  std::string value;
  auto operator<=>(const TxtRecord&) const = default;
};

/// The record for a dns-01 or dns-account-01 challenge. Throws Error (invalid_argument) for other types, and if the
/// identifier is not a DNS name.
TxtRecord dns_record(const ChallengeContext& context);

/// Changes a DNS zone. A name may have several values at once (a domain and its wildcard share one name): each function
/// changes one value and keeps the others.
///
/// The functions are flows: the client runs them on its own thread or strand, as it does ChallengeSolver's, so they
/// must not block outside call(). They report failures as the result; what they throw becomes one. Several run
/// concurrently, within one issue() and across threads.
class DnsProvider {
 public:
  virtual ~DnsProvider() = default;
  /// Adds the value. Finishes once the authoritative servers have it, or set DnsSolverOptions::settle. It is not an
  /// error if the value exists.
  virtual Flow<Result<void>> add_txt(std::string name, std::string value) = 0;
  /// Removes the value. It is not an error if the value does not exist.
  virtual Flow<Result<void>> remove_txt(std::string name, std::string value) = 0;
};

/// Adds or removes a TXT value. May block and throw.
using TxtFunction = std::function<void(const std::string& name, const std::string& value)>;
/// A provider made from two functions. An empty function does nothing. Threads as for make_solver(): the blocking
/// client calls them on the calling thread, the Asio client on a thread of the client, one at a time for each provider.
std::unique_ptr<DnsProvider> make_dns_provider(TxtFunction add_txt, TxtFunction remove_txt);

/// Options of DnsSolver. A plain value.
struct DnsSolverOptions {
  std::string type = "dns-01";     ///< Or "dns-account-01".
  std::chrono::seconds settle{0};  ///< How long slow secondary servers take to have a new value: ready() waits for it.
};

/// Solves dns-01 or dns-account-01 through a provider, which must outlive the solver. DNS names only, except .onion. As
/// thread-safe as the provider. Must outlive the calls that use it.
///
/// present() adds the value and does not wait for `settle`: issue() presents all names, then waits once, in ready().
/// To use a solver without issue(), await present(), then ready(), then trigger the challenge.
class DnsSolver final : public ChallengeSolver {
 public:
  /// Throws Error (invalid_argument) if `options.type` is not one of the two.
  explicit DnsSolver(DnsProvider& provider, DnsSolverOptions options = DnsSolverOptions());

  std::string_view type() const noexcept override { return options_.type; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> ready(std::vector<ChallengeContext> contexts) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  DnsProvider& provider_;
  DnsSolverOptions options_;
};

/// Runs a program that changes the zone: `PROGRAM present|cleanup NAME VALUE`. See docs/dns-hooks.md. Thread-safe.
class DnsHook {
 public:
  /// `program` is looked up in PATH if it contains no slash. `time_limit` is at least one second.
  /// `cancel` ends a run within two seconds; a cleanup may go on for ten.
  explicit DnsHook(std::string program, std::chrono::seconds time_limit = std::chrono::seconds(120),
                   CancelToken cancel = CancelToken::never());

  /// Runs the program and blocks until it exits. Throws Error (solver_failed), with the program's output, if it cannot
  /// be started, fails, or exceeds the time limit: it is then killed with its process group. Throws Error (cancelled).
  void run(std::string_view action, const ChallengeContext& context, const TxtRecord& record) const;

 private:
  std::string program_;
  std::chrono::seconds time_limit_;
  CancelToken cancel_;
};

/// Options of DnsHookSolver. A plain value.
struct DnsHookOptions {
  std::string type = "dns-01";           ///< Or "dns-account-01".
  std::chrono::seconds settle{0};        ///< As in DnsSolverOptions.
  std::chrono::seconds time_limit{120};  ///< Per run of the program.
  /// Ends the program that runs, as for DnsHook. Cancelling a flow alone does not: the run goes on to its end.
  CancelToken cancel = CancelToken::never();
};

/// Solves dns-01 or dns-account-01 by running a program, never two at a time for one solver. DNS names only, except
/// .onion. ready() waits for `settle`, as DnsSolver's does. Thread-safe. Must outlive the calls that use it.
class DnsHookSolver final : public ChallengeSolver {
 public:
  /// Throws Error (invalid_argument) if `options.type` is not one of the two.
  explicit DnsHookSolver(std::string program, DnsHookOptions options = DnsHookOptions());

  std::string_view type() const noexcept override { return options_.type; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> ready(std::vector<ChallengeContext> contexts) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  Flow<Result<void>> run(std::string action, ChallengeContext context);

  struct Hook;
  const std::shared_ptr<Hook> hook_;
  DnsHookOptions options_;
};

/// Options of DnsPersistSolver. A plain value.
struct DnsPersistOptions {
  DnsPersist01Helper::Options record{};  ///< `wildcard` is implied for wildcard authorizations.
  std::chrono::seconds settle{0};        ///< As in DnsSolverOptions, after `publish`.
};

/// Solves dns-persist-01. The record stays: cleanup() does nothing. ready() waits for `settle` if a record is new. DNS
/// names only, except .onion. Thread-safe. Must outlive the calls that use it.
class DnsPersistSolver final : public ChallengeSolver {
 public:
  /// Publishes the record. May block and throw. Called until it succeeds once for each record, never concurrently: the
  /// blocking client calls it on the calling thread, the Asio client on a thread of the client. Empty: the record is
  /// assumed to exist.
  using Publish = std::function<void(const ChallengeContext& context, const TxtRecord& record)>;

  DnsPersistSolver(Directory directory, Account account, Publish publish = {},
                   DnsPersistOptions options = DnsPersistOptions());

  std::string_view type() const noexcept override { return "dns-persist-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> ready(std::vector<ChallengeContext> contexts) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

  /// The record for the challenge. Throws as DnsPersist01Helper::record_value() does, and Error (invalid_argument) if
  /// the identifier is not a DNS name.
  TxtRecord record(const ChallengeContext& context) const;

 private:
  Directory directory_;
  Account account_;
  class Records;
  const std::shared_ptr<const Publish> publish_;
  DnsPersistOptions options_;
  const std::shared_ptr<Records> records_;
};

}  // namespace culmen
