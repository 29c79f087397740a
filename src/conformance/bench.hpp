// What the tests of the conformance suite have in common.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/flow.hpp"
#include "culmen/storage.hpp"
#include "culmen/storage_conformance.hpp"

namespace culmen::conformance {

/// Ends the test: `expectation` does not hold.
[[noreturn]] void fail(const std::string& expectation, const std::string& instead);
/// Ends the test unless `holds`.
void expect(bool holds, const std::string& expectation, const std::string& instead = {});

/// The value, or the end of the test.
template <class T>
T unwrapped(Result<T> result, const std::string& doing) {
  if (!result) throw result.error().while_doing(doing);
  return *std::move(result);
}

/// A write with an expected revision.
Write expecting(std::string key, std::string value, Revision expected);
/// A write guarded by a lease.
Write fenced(std::string key, std::string value, Lease fence);

/// One test's folder in the store, two handles to it, and the operations, whose errors end the test. Lives in the frame
/// of the test.
class Bench {
 public:
  Bench(StorageUnderTest subject, const std::string& folder);

  const StorageUnderTest& subject() const noexcept { return subject_; }
  /// Of two processes, one handle each.
  Storage& first() const noexcept { return *first_; }
  Storage& second() const noexcept { return *second_; }
  /// In turn.
  Storage& handle(std::size_t number) const noexcept { return number % 2 == 0 ? *first_ : *second_; }
  /// Opens both anew.
  void reopen();
  bool can_many() const { return first_->capabilities().many_in_one; }
  std::size_t longest_value() const { return first_->capabilities().longest_value; }

  std::string key(std::string_view rest) const { return folder_ + "/" + std::string(rest); }
  std::string prefix() const { return folder_ + "/"; }

  Flow<Revision> put(std::string key, std::string value);
  Flow<Revision> write(Write write);
  Flow<std::vector<Revision>> write_all(std::vector<Write> writes);
  /// Expects the error.
  Flow<Result<void>> refused(Write write, Errc code, std::string expectation);
  Flow<Result<void>> all_refused(std::vector<Write> writes, Errc code, std::string expectation);
  Flow<std::optional<StoredValue>> get(std::string key);
  /// Both handles see this value, or none.
  Flow<Result<void>> sees(std::string key, std::optional<std::string> value, std::string expectation);
  Flow<std::vector<StoredItem>> list(std::string prefix, std::string after, std::size_t limit, bool with_values);
  Flow<std::vector<std::string>> keys_below(std::string prefix);
  Flow<Result<void>> remove_all_below(std::string prefix);

  /// nullopt: held.
  Flow<std::optional<Lease>> try_acquire(std::size_t handle, std::string name, std::chrono::seconds ttl);
  /// Expects to get it.
  Flow<Lease> acquire(std::size_t handle, std::string name, std::chrono::seconds ttl);
  /// Asks until the lease was given up by its owner; at most for a generous time.
  Flow<Lease> acquire_in_time(std::size_t handle, std::string name, std::chrono::seconds ttl);
  Flow<Result<void>> release(std::size_t handle, Lease lease);

 private:
  StorageUnderTest subject_;
  std::string folder_;
  std::shared_ptr<Storage> first_, second_;
};

/// A test before it has an engine.
struct Definition {
  const char* name;
  const char* folder;  ///< Its part of a key.
  Flow<Result<void>> (*run)(Bench& bench);
};

extern const std::vector<Definition> value_tests;
extern const std::vector<Definition> lease_tests;
extern const std::vector<Definition> engine_tests;
extern const std::vector<Definition> record_tests;

}  // namespace culmen::conformance
