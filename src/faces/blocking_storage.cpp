#include "culmen/blocking/storage.hpp"

#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"

namespace culmen::blocking {

class Storage::Impl {
 public:
  Impl(std::shared_ptr<culmen::Storage> storage_, TransportOptions options, CancelToken cancel_)
      : storage(std::move(storage_)), driver(std::move(options), {}), cancel(std::move(cancel_)) {}
  const std::shared_ptr<culmen::Storage> storage;
  drivers::BlockingDriver driver;
  const CancelToken cancel;
};

Storage::Storage(std::shared_ptr<culmen::Storage> storage, TransportOptions options, CancelToken cancel) {
  if (!storage) throw Error(Errc::invalid_argument, "opening a storage", "there is none: it is nullptr");
  impl_ = std::make_shared<Impl>(std::move(storage), std::move(options), std::move(cancel));
}

StorageCapabilities Storage::capabilities() const noexcept { return impl_->storage->capabilities(); }

std::vector<std::optional<StoredValue>> Storage::load(std::vector<std::string> keys, CancelToken cancel) const {
  return run(impl_->storage->load(std::move(keys)), std::move(cancel));
}
std::optional<StoredValue> Storage::load_one(std::string key, CancelToken cancel) const {
  return run(culmen::load_one(*impl_->storage, std::move(key)), std::move(cancel));
}
std::vector<StoredItem> Storage::list(std::string prefix, std::string after, std::size_t limit, bool with_values,
                                      CancelToken cancel) const {
  return run(impl_->storage->list(std::move(prefix), std::move(after), limit, with_values), std::move(cancel));
}
std::vector<Revision> Storage::write(std::vector<Write> writes, CancelToken cancel) const {
  return run(impl_->storage->write(std::move(writes)), std::move(cancel));
}
Revision Storage::write_one(Write write, CancelToken cancel) const {
  return run(culmen::write_one(*impl_->storage, std::move(write)), std::move(cancel));
}

std::optional<Lease> Storage::acquire(std::string name, std::string owner, std::chrono::seconds ttl,
                                      CancelToken cancel) const {
  return run(impl_->storage->acquire(std::move(name), std::move(owner), ttl), std::move(cancel));
}
std::vector<std::optional<Lease>> Storage::renew(std::vector<Lease> leases, std::chrono::seconds ttl,
                                                 CancelToken cancel) const {
  return run(impl_->storage->renew(std::move(leases), ttl), std::move(cancel));
}
void Storage::release(Lease lease, CancelToken cancel) const {
  run(impl_->storage->release(std::move(lease)), std::move(cancel));
}

std::string Storage::changed(std::string prefix, std::string cursor, std::chrono::seconds patience,
                             CancelToken cancel) const {
  return run(impl_->storage->changed(std::move(prefix), std::move(cursor), patience), std::move(cancel));
}

void Storage::drive(ExecutionBase& execution, CancelToken cancel) const {
  impl_->driver.drive(execution, {impl_->cancel, std::move(cancel)});
}
ExecutionBase::Clock Storage::clock() { return &drivers::instant_now; }

}  // namespace culmen::blocking
