// Solvers for the challenges that are answered through the DNS: dns-01, dns-account-01 and dns-persist-01.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "culmen/account.hpp"
#include "culmen/directory.hpp"
#include "culmen/dns_helpers.hpp"
#include "culmen/solver.hpp"

namespace culmen {

/// One TXT value at one name.
struct TxtRecord {
  TxtRecord(std::string name_, std::string value_) : name(std::move(name_)), value(std::move(value_)) {}
  std::string name;
  std::string value;
  auto operator<=>(const TxtRecord&) const = default;
};

/// The record that a dns-01 or dns-account-01 challenge calls for. Throws Error (invalid_argument) for other types.
TxtRecord dns_record(const ChallengeContext& context);

/// Who can change the zone. One name often has several values at once, as a domain and its wildcard share theirs: only
/// the one value is added or taken away, and what else is there stays.
class DnsProvider {
 public:
  virtual ~DnsProvider() = default;
  /// Adds the value, and is done when the authoritative servers have it. Adding what is there already is no error.
  virtual Flow<Result<void>> add_txt(std::string name, std::string value) = 0;
  /// Takes that value away. That it is not there is no error.
  virtual Flow<Result<void>> remove_txt(std::string name, std::string value) = 0;
};

/// A provider from two functions (name, value), which may block and throw.
using TxtFunction = std::function<void(const std::string& name, const std::string& value)>;
std::unique_ptr<DnsProvider> make_dns_provider(TxtFunction add_txt, TxtFunction remove_txt);

struct DnsSolverOptions {
  std::string type = "dns-01";     ///< Or dns-account-01.
  std::chrono::seconds settle{0};  ///< After the value was added, before the CA is told: for slow secondaries.
};

/// Solves dns-01 or dns-account-01 through a provider, which must outlive it.
class DnsSolver final : public ChallengeSolver {
 public:
  /// Throws Error (invalid_argument) for another type.
  explicit DnsSolver(DnsProvider& provider, DnsSolverOptions options = DnsSolverOptions());

  std::string_view type() const noexcept override { return options_.type; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  DnsProvider& provider_;
  DnsSolverOptions options_;
};

/// A program that changes the zone: `PROGRAM present|cleanup NAME VALUE`. See docs/dns-hooks.md.
class DnsHook {
 public:
  /// `program` is looked for in PATH when it has no slash.
  explicit DnsHook(std::string program, std::chrono::seconds time_limit = std::chrono::seconds(120));

  /// Runs it, and waits. Throws Error (solver_failed) with its output when it cannot be run, fails, or takes longer
  /// than allowed: then it is killed, with all it started.
  void run(std::string_view action, const ChallengeContext& context, const TxtRecord& record) const;

 private:
  std::string program_;
  std::chrono::seconds time_limit_;
};

struct DnsHookOptions {
  std::string type = "dns-01";           ///< Or dns-account-01.
  std::chrono::seconds settle{0};        ///< As in DnsSolverOptions.
  std::chrono::seconds time_limit{120};  ///< For one run of the program.
};

/// Solves dns-01 or dns-account-01 through a program, which is run once at a time.
class DnsHookSolver final : public ChallengeSolver {
 public:
  /// Throws Error (invalid_argument) for another type.
  explicit DnsHookSolver(std::string program, DnsHookOptions options = DnsHookOptions());

  std::string_view type() const noexcept override { return options_.type; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  Flow<Result<void>> run(std::string action, ChallengeContext context);

  DnsHook hook_;
  DnsHookOptions options_;
  std::mutex one_at_a_time_;
};

struct DnsPersistOptions {
  DnsPersist01Helper::Options record{};  ///< `wildcard` is also set where the authorization is for a wildcard.
  std::chrono::seconds settle{0};        ///< After `publish`.
};

/// Solves dns-persist-01, whose record stays: nothing is cleaned up.
class DnsPersistSolver final : public ChallengeSolver {
 public:
  /// Makes the record public; may block and throw. Called once for each record. Without one the record is taken to be
  /// in the DNS already.
  using Publish = std::function<void(const ChallengeContext& context, const TxtRecord& record)>;

  DnsPersistSolver(Directory directory, Account account, Publish publish = {},
                   DnsPersistOptions options = DnsPersistOptions());

  std::string_view type() const noexcept override { return "dns-persist-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

  /// The record that the challenge calls for. Throws what DnsPersist01Helper::record_value() throws.
  TxtRecord record(const ChallengeContext& context) const;

 private:
  Directory directory_;
  Account account_;
  Publish publish_;
  DnsPersistOptions options_;
  std::mutex mutex_;
  std::set<TxtRecord> published_;
};

}  // namespace culmen
