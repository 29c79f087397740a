// What a manager is given, and what it tells.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/certificate_spec.hpp"
#include "culmen/error.hpp"
#include "culmen/options.hpp"
#include "culmen/planner.hpp"
#include "culmen/rate_ledger.hpp"
#include "culmen/solver.hpp"
#include "culmen/storage.hpp"

namespace culmen {

struct AccountOptions;
struct Attempt;
struct Directory;

/// A CA that the manager may use. A plain value, for designated initialisers.
struct CaOptions {
  std::string directory{};              ///< A directory URL, or a short name such as "letsencrypt".
  std::vector<std::string> contacts{};  ///< Empty: ManagerOptions::contact.
  bool agree_tos = false;               ///< True here, or in ManagerOptions.
  /// Key id and MAC key of the external account binding, asked for when an account has to be made. May block and throw.
  std::function<std::pair<std::string, std::string>()> eab{};
  /// Registers a new account, with a new key, if the CA says that the stored one is deactivated; its key is kept under
  /// keys/unused/. Off: nothing is ordered at that CA until the account is replaced, and events say so.
  bool replace_deactivated_account = false;
  std::string account_key_type = "ec:P-256";  ///< Of a new account's key, as for create_key().
  /// In place of `contacts`, `agree_tos` and `eab`: called with the CA's directory when an account has to be made, on a
  /// thread that may block. What it throws is the attempt's error.
  std::function<AccountOptions(const Directory&)> account_options{};
  /// In place of known_rate_limits().
  std::optional<std::vector<RateLimit>> limits{};
};

enum class LogLevel { error, warning, info, debug };
std::string_view to_string(LogLevel level) noexcept;

/// Something that happened, for people, metrics and hooks. A plain value.
struct ManagerEvent {
  enum class Kind {
    loaded,                ///< What storage has was read; `detail` says how much.
    renewal_info_changed,  ///< The CA suggests another window, or one that is ignored.
    issuing,               ///< An order begins.
    issued,                ///< The certificate is stored and counts.
    installed,             ///< The sink took it.
    failed,                ///< The attempt failed; `next` is when it is tried again.
    late,                  ///< Due for long; see planner::Action::late.
    expired,               ///< And still not renewed.
    ca_closed,             ///< A CA is left alone until `next`.
    ca_open,               ///< It answers again.
    lease_lost,            ///< Another process took over.
    storage_failed,        ///< Storage could not be read or written; what is in memory goes on.
    storage_recovered,
    warning,  ///< What was asked for and not done, such as a profile that the CA does not have any more.
  };
  Kind kind = Kind::warning;
  std::string id;  ///< Of the certificate; empty if it is not about one.
  std::string ca;  ///< Directory URL; empty if it is not about one.
  std::string detail;
  planner::Time at;
  std::optional<planner::Time> not_after;
  std::optional<planner::Time> next;
  unsigned failures = 0;
};
std::string_view to_string(ManagerEvent::Kind kind) noexcept;
/// One line for a log: what happened to which certificate, why, and what comes next. Printable.
std::string to_text(const ManagerEvent& event);
LogLevel level_of(ManagerEvent::Kind kind) noexcept;

/// A certificate that counts from now on. A plain value.
struct InstalledCertificate {
  InstalledCertificate() = default;
  std::string id;
  std::string chain_pem;  ///< Leaf first.
  std::string key_pem;
  std::uint64_t generation = 0;
};

/// A certificate as the manager sees it. A plain value.
struct CertificateStatus {
  CertificateStatus() = default;
  std::string id;
  std::vector<std::string> names;  ///< That are wanted.
  std::string issued_by;
  std::optional<planner::Time> not_before, not_after;
  std::optional<planner::Time> next;  ///< When the manager decides again.
  std::string reason;                 ///< Why not earlier, or what is being done.
  bool in_flight = false;
  bool late = false;
  unsigned failures = 0;  ///< In a row, at the CA of the last attempt.
  std::string last_error;
};

/// What run_once() did. A plain value.
struct RunSummary {
  RunSummary() = default;
  std::size_t looked_at = 0;
  std::vector<std::string> issued;             ///< Ids.
  std::map<std::string, Error> failed;         ///< Why, by id.
  std::vector<std::string> held_elsewhere;     ///< Another process works on them.
  std::map<std::string, std::string> waiting;  ///< Due, and not ordered now, by id: why, and until when.
  std::optional<planner::Time> next;           ///< When something is due next.
};

/// What a manager keeps, where, and how. An aggregate, for designated initialisers: never part of a statement with
/// co_await (GCC 12, see flow.hpp).
struct ManagerOptions {
  // The short form: one certificate with these names, beside those of `specs`.
  std::vector<std::string> names{};
  std::string contact{};   ///< An e-mail address for new accounts; may be empty.
  bool agree_tos = false;  ///< You agree to the terms of service of the CAs in use.

  std::shared_ptr<Storage> storage{};  ///< Required.
  std::vector<CertificateSpec> specs{};
  std::vector<CaOptions> cas{};  ///< In order of preference. Empty: Let's Encrypt.
  /// Tried in order, as for issue(). Empty: http-01, answered by Manager::http01(). Must be thread-safe as
  /// ChallengeSolver says.
  std::vector<std::shared_ptr<ChallengeSolver>> solvers{};

  /// A certificate whose record is not in storage is not issued: another process has removed or renamed it. For
  /// programs that take their specs from records.
  bool only_recorded = false;

  /// Called before each order, on a thread that may block, with what is about to be ordered: may choose solvers, and
  /// how challenges are answered (see Attempt in attempt.hpp). What it throws is the attempt's error. May be empty.
  std::function<void(Attempt&)> prepare{};

  /// Called with every certificate that begins to count, also with those that storage has at the start. Never under a
  /// lock, one at a time, on a thread that may block. What it throws is an event (failed), and it is called again
  /// later.
  std::function<void(const InstalledCertificate&)> installed{};
  /// Called on the thread that runs the flows; must not block. Exceptions are ignored.
  std::function<void(const ManagerEvent&)> on_event{};
  /// The same in text, and what else is worth a line. May be empty.
  std::function<void(LogLevel, std::string_view)> log{};

  planner::Policy policy{};
  /// For limits that count by registered domain. Empty: the last two labels.
  PublicSuffixes public_suffixes{};
  std::size_t width = 8;  ///< Issuances at the same time, 1 to 1,000.
  /// Orders in an hour at each CA, of all processes that share the storage, for certificates that are due only because
  /// they are revoked, or because their CA or renew_now() wants them replaced: a mass revocation concerns many at once.
  /// Those that expire first come first. 0: as many as the CA allows.
  unsigned emergency_per_hour = 300;
  /// For leases and logs, different for each process. Empty: host, process id and a random number.
  std::string owner{};
  std::chrono::seconds lease_ttl{60};  ///< 3 s to 1 day.
  /// Challenges are kept in storage too, so that another process can answer them. Costs two writes a challenge.
  bool share_challenges = false;
  ClientOptions client{};
};

}  // namespace culmen
