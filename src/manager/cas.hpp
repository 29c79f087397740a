// The CAs of a manager: sessions, accounts, health, and what was used of their limits.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/manager_options.hpp"
#include "culmen/records.hpp"
#include "culmen/session.hpp"
#include "manager/store.hpp"
#include "manager/turn.hpp"

namespace culmen::manager {

/// One CA. The manager's mutex guards the ledger and what is known about renewal information; everything else
/// belongs to the execution.
struct Ca {
  Ca(std::string directory_, CaOptions options_, const ManagerOptions& manager);
  const std::string directory;  ///< The URL.
  const CaOptions options;
  const std::vector<RateLimit> limits;
  const std::vector<RateLimit> throttle;    ///< ManagerOptions::emergency_per_hour, counted as a limit is.
  const std::vector<RateLimit> all_limits;  ///< Both.

  std::optional<bool> offers_renewal_info;  ///< nullopt: not known yet.
  planner::Time no_renewal_info_until;      ///< It did not answer: it is left alone, for all certificates.
  unsigned renewal_info_failures = 0;

  std::optional<engine::Session> session;
  std::optional<Account> account;
  bool account_is_gone = false;  ///< The CA does not know it any more.
  std::string ended_account;     ///< The URL of one that the CA refuses for good; empty: none.
  Turn turn;                     ///< For whoever connects, or makes the account.
  /// What failed in such a turn, and how many have: who waited meanwhile does not wait for the same again.
  std::optional<Error> turn_error;
  unsigned turn_failures = 0;

  RateLedger ledger;  ///< As it was stored, with `unstored`.
  /// What is known, and not in storage yet. Orders are never in here: they are stored before they are sent.
  std::vector<std::function<void(RateLedger&)>> unstored;
  std::string ledger_key;       ///< In storage; empty if it was not read yet.
  bool ledger_is_read = false;  ///< As far as it is known, `ledger_revision` is what is stored.
  Revision ledger_revision;
  Turn ledger_turn;       ///< For whoever changes it in storage.
  unsigned refusals = 0;  ///< By rate limits, in a row.
  planner::Time said_throttled_at;
};

/// The CAs by directory URL. Not thread-safe, but for what is said of Ca; at(), find() and all() with the mutex locked.
class Cas {
 public:
  /// `mutex`: the manager's.
  Cas(const ManagerOptions& options, const Reporter& reporter, Store& store, std::mutex& mutex);

  /// The manager's, in its order.
  const std::vector<Ca*>& preferred() const noexcept { return preferred_; }
  /// By URL or short name; one that is not known is added with the manager's own contact and consent.
  Ca& at(const std::string& name_or_url);
  Ca* find(const std::string& directory) noexcept;
  const std::map<std::string, std::unique_ptr<Ca>>& all() const noexcept { return cas_; }
  std::map<std::string, planner::CaHealth> health;  ///< By directory URL. Guarded by the manager's mutex.

  /// Connects, if that was not done before.
  Flow<Result<engine::Session>> session(Ca& ca);
  /// The account: from memory, from storage, or a new one. Guarded by the account's lease.
  Flow<Result<Account>> account(Ca& ca);
  /// Whether storage has another account than that one, or another key for it: another process changed it. Then it is
  /// read again the next time.
  Flow<Result<bool>> account_was_changed(Ca& ca, Account used);
  /// Whether the CA refuses the account as such: it is deactivated. Then it is not used any more, and an event says so.
  /// For when the CA has refused a request as unauthorized.
  Flow<Result<bool>> account_has_ended(Ca& ca, Account used);
  /// What to say about orders at a CA with such an account.
  Error ended_account(const Ca& ca) const;
  /// Reads what was used of the CA's limits, if that was not done before.
  Flow<Result<void>> load_ledger(Ca& ca, std::string account_url);
  /// Counts an order in storage if the limits allow it now: nullopt; otherwise, when they do. In one step, so that
  /// processes that share the storage do not cross the limits together: what is written replaces the revision that was
  /// asked. `reserve` as in RateLedger::allowed_at(), `is_early` as in planner::Action. Errors: those of storage, after
  /// which the order must not be sent; conflict if other processes have counted all the while.
  Flow<Result<std::optional<planner::Time>>> count_order(Ca& ca, std::string account_url, CountedOrder order,
                                                         double reserve, bool is_early);
  /// With the mutex locked: what the CA has said of its limits, to be stored soon.
  static void note(Ca& ca, std::function<void(RateLedger&)> change);
  /// Stores what note() was given.
  Flow<Result<void>> store_ledger(Ca& ca);

 private:
  /// Changes a ledger; returns false to leave it as it is.
  using LedgerChange = std::function<bool(RateLedger& ledger, planner::Time now)>;
  Flow<Result<void>> change_ledger(Ca& ca, std::string key, LedgerChange change);
  Flow<Result<void>> read_ledger(Ca& ca, std::string key);
  Flow<Result<engine::Session>> connect(Ca& ca);
  Flow<Result<Account>> account_in_turn(Ca& ca);
  static Error failed_turn(Ca& ca, Error error);
  Flow<Result<Account>> find_or_make_account(Ca& ca, engine::Session session);
  Flow<Result<Account>> account_under_lease(Ca& ca, engine::Session session, std::shared_ptr<Hold> hold);
  Flow<Result<AccountOptions>> account_options(Ca& ca, engine::Session session);

  const ManagerOptions& options_;
  const Reporter& reporter_;
  Store& store_;
  std::mutex& mutex_;
  std::map<std::string, std::unique_ptr<Ca>> cas_;
  std::vector<Ca*> preferred_;
  std::uint64_t ledger_writes_ = 0;
};

}  // namespace culmen::manager
