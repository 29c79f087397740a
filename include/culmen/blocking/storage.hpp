// A storage for programs that block.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culmen/cancel_token.hpp"
#include "culmen/driver.hpp"
#include "culmen/options.hpp"
#include "culmen/storage.hpp"

namespace culmen::blocking {

/// The functions of culmen::Storage, which has their comments; they block and throw Error. A shared handle: copies use
/// the same storage, and keep it alive. Thread-safe. Functions of the storage that block are called on the calling
/// thread.
class Storage {
 public:
  /// Throws Error (invalid_argument) if `storage` is nullptr, or the options are not valid (see TransportOptions, which
  /// engines use that send HTTP requests). `cancel` cancels every call of this handle and its copies.
  explicit Storage(std::shared_ptr<culmen::Storage> storage, TransportOptions options = {},
                   CancelToken cancel = CancelToken::never());

  StorageCapabilities capabilities() const noexcept;

  std::vector<std::optional<StoredValue>> load(std::vector<std::string> keys,
                                               CancelToken cancel = CancelToken::never()) const;
  std::optional<StoredValue> load_one(std::string key, CancelToken cancel = CancelToken::never()) const;
  std::vector<StoredItem> list(std::string prefix, std::string after = {}, std::size_t limit = 1000,
                               bool with_values = false, CancelToken cancel = CancelToken::never()) const;
  std::vector<Revision> write(std::vector<Write> writes, CancelToken cancel = CancelToken::never()) const;
  Revision write_one(Write write, CancelToken cancel = CancelToken::never()) const;

  std::optional<Lease> acquire(std::string name, std::string owner, std::chrono::seconds ttl,
                               CancelToken cancel = CancelToken::never()) const;
  std::vector<std::optional<Lease>> renew(std::vector<Lease> leases, std::chrono::seconds ttl,
                                          CancelToken cancel = CancelToken::never()) const;
  void release(Lease lease, CancelToken cancel = CancelToken::never()) const;

  std::string changed(std::string prefix, std::string cursor, std::chrono::seconds patience,
                      CancelToken cancel = CancelToken::never()) const;

  /// Runs any flow on the calling thread, such as one that uses the storage several times.
  template <class T>
  T run(Flow<Result<T>> flow, CancelToken cancel = CancelToken::never()) const {
    Execution<Result<T>> execution(std::move(flow), clock());
    drive(execution, std::move(cancel));
    return std::move(execution.result()).value();
  }

 private:
  class Impl;
  void drive(ExecutionBase& execution, CancelToken cancel) const;
  static ExecutionBase::Clock clock();
  std::shared_ptr<Impl> impl_;
};

}  // namespace culmen::blocking
