// Work on storage under leases, for programs beside managers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culmen/event.hpp"
#include "culmen/stored_certificates.hpp"
#include "manager/store.hpp"

namespace culmen::manager {

/// A storage, and the leases of it that one call holds. Belongs to one execution.
class Leases {
 public:
  Leases(std::shared_ptr<Storage> storage, LeaseOptions options);

  Store& store() noexcept { return store_; }
  /// Waits while another process holds it: Errc::held after LeaseOptions::patience.
  Flow<Result<std::shared_ptr<Hold>>> take(std::string name);
  Flow<Result<void>> release_all();

  /// Renews what is held, until it is cancelled.
  Flow<Result<void>> keep() { return store_.keep_leases(); }
  /// Ends when one of the leases is lost.
  Flow<Result<void>> until_lost() { return lost_.wait(); }
  /// The one that was lost; empty: none.
  std::string lost_one() const;

 private:
  const LeaseOptions options_;
  Store store_;
  Event lost_;
  std::vector<std::shared_ptr<Hold>> holds_;
};

Error lease_was_lost(const std::string& name);
/// invalid_argument if nothing can be leased with those options.
Result<void> check_lease_options(const LeaseOptions& options);

/// Runs `work`, which takes the leases that it needs. They are renewed meanwhile, and released afterwards. If one is
/// lost, `work` is cancelled, and the error is fenced.
template <class T>
Flow<Result<T>> with_leases(std::shared_ptr<Storage> storage, LeaseOptions options,
                            std::function<Flow<Result<T>>(Leases&)> work) {
  if (Result<void> valid = check_lease_options(options); !valid) co_return valid.error();
  Leases leases(std::move(storage), std::move(options));
  detail::Ending<T> ending;
  std::vector<Flow<Result<void>>> flows;
  flows.push_back(detail::keep_ending(work(leases), &ending));
  flows.push_back(leases.keep());
  flows.push_back(leases.until_lost());
  First<Result<void>> first = co_await first_of(std::move(flows));
  const std::string lost = leases.lost_one();
  Result<void> released = co_await leases.release_all();
  if (ending.thrown) std::rethrow_exception(ending.thrown);
  Result<T>& result = *ending.result;
  if (!result && !lost.empty() && result.error().code() == Errc::cancelled) co_return lease_was_lost(lost);
  co_return std::move(result);
}

/// All items below the prefix.
Flow<Result<std::vector<StoredItem>>> list_all(Store& store, std::string prefix, bool with_values);
/// The value of one key.
Flow<Result<std::optional<StoredValue>>> load_one_of(Store& store, std::string key);
/// Makes one change.
Flow<Result<Revision>> write_one_of(Store& store, Write write, std::shared_ptr<Hold> hold);

/// Whether both texts are the same private key.
bool is_same_key(const std::string& one_pem, const std::string& other_pem);
/// Puts a key that could still be needed where it is never removed, and returns where that is: where it was before, if
/// it is there already. What cannot be read as a key is kept as it is.
Flow<Result<std::string>> keep_unused_key(Store& store, std::string key_pem);

/// A storage without a manager: nothing is reported.
const Reporter& no_reporter();

}  // namespace culmen::manager
