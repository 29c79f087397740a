// The CAs of a manager: sessions, accounts, health, and what was used of their limits.
#pragma once

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
  Ca(std::string directory_, CaOptions options_, PublicSuffixes suffixes);
  const std::string directory;  ///< The URL.
  const CaOptions options;
  const std::vector<RateLimit> limits;

  std::optional<bool> offers_renewal_info;  ///< nullopt: not known yet.
  planner::Time no_renewal_info_until;      ///< It did not answer: it is left alone, for all certificates.
  unsigned renewal_info_failures = 0;

  std::optional<engine::Session> session;
  std::optional<Account> account;
  bool account_is_gone = false;  ///< The CA does not know it any more.
  Turn turn;                     ///< For whoever connects, or makes the account.

  RateLedger ledger;
  bool ledger_is_loaded = false;
  std::optional<Revision> ledger_revision;
  unsigned ledger_changes = 0;  ///< Since it was stored.
  unsigned refusals = 0;        ///< By rate limits, in a row.
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
  /// Reads what was used of the CA's limits, if that was not done before.
  Flow<Result<void>> load_ledger(Ca& ca, std::string account_url);
  /// Stores what has changed: loads, merges, compares and sets, three times at most.
  Flow<Result<void>> store_ledger(Ca& ca);

 private:
  Flow<Result<engine::Session>> connect(Ca& ca);
  Flow<Result<Account>> find_or_make_account(Ca& ca, engine::Session session);
  Flow<Result<Account>> account_under_lease(Ca& ca, engine::Session session, std::shared_ptr<Hold> hold);
  Flow<Result<AccountOptions>> account_options(Ca& ca, engine::Session session);

  const ManagerOptions& options_;
  const Reporter& reporter_;
  Store& store_;
  std::mutex& mutex_;
  std::map<std::string, std::unique_ptr<Ca>> cas_;
  std::vector<Ca*> preferred_;
};

}  // namespace culmen::manager
