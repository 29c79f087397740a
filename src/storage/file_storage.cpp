#include "culmen/file_storage.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "culmen/error.hpp"
#include "culmen/records.hpp"
#include "culmen/storage_engine.hpp"
#include "storage/file_listing.hpp"
#include "storage/file_store.hpp"
#include "storage/file_writes.hpp"

namespace culmen {

namespace {

namespace fs = std::filesystem;
using storage::Change;
using storage::ChangeLog;
using storage::FileLock;
using storage::FileStore;
using storage::FileValue;
using storage::Folder;
using storage::LockedStore;
using storage::Page;
using namespace std::chrono_literals;

constexpr auto lock_patience = 30s;
constexpr std::chrono::microseconds first_pause = 1ms, longest_pause = 30ms;
constexpr auto look_interval = 1s;      // of changed()
constexpr unsigned unlocked_tries = 3;  // of readers, which then take the lock
constexpr std::size_t keys_in_a_step = 200, leases_in_a_step = 200;

/// Reads without the lock, and looks afterwards whether something was changed meanwhile. nullopt: try again.
template <class T>
std::optional<T> read_store(FileStore& store, unsigned tries, const std::function<T(const Folder&)>& read) {
  if (tries < unlocked_tries) {
    const Folder root = store.open();
    const std::string before = ChangeLog::look(root);
    if (!Change::pending(root)) {
      std::optional<T> found;
      std::exception_ptr failure;
      try {
        found.emplace(read(root));
      } catch (const Error&) {
        failure = std::current_exception();
      }
      if (Change::pending(root) || ChangeLog::look(root) != before) return std::nullopt;
      if (failure) std::rethrow_exception(failure);
      return found;
    }
  }
  const std::optional<LockedStore> locked = LockedStore::take(store);
  if (!locked) return std::nullopt;
  return read(locked->root());
}

Error busy_error(const FileStore& store) {
  std::string holder = "another process";
  try {
    if (const long process = FileLock::holder(Folder::open(store.folder), storage::store_lock); process != 0)
      holder = "process " + std::to_string(process);
  } catch (const Error&) {
    // it stays without a name
  }
  return Error(
      Errc::io_failed, "using the state folder " + store.folder.string(),
      holder + " has held the lock " + (store.folder / storage::store_lock).string() +
          " for more than 30 seconds, which takes milliseconds; it may be stopped: let it continue, or end it");
}

/// Tries until `attempt` returns something, with pauses. Its argument is how often it was tried before.
template <class T>
Flow<Result<T>> patiently(std::shared_ptr<FileStore> store, std::function<std::optional<T>(unsigned)> attempt) {
  const Instant begin = co_await now();
  std::chrono::microseconds pause = first_pause;
  for (unsigned tries = 0;; ++tries) {
    const auto outcome = std::make_shared<std::optional<T>>();
    const std::function<Result<void>()> step = [outcome, attempt, tries] {
      *outcome = attempt(tries);
      return Result<void>();
    };
    Result<void> called = co_await call_storing(step);
    if (!called) co_return called.error();
    if (*outcome) co_return std::move(**outcome);
    const Instant time = co_await now();
    if (time.steady - begin.steady > lock_patience) co_return busy_error(*store);
    Result<void> waited = co_await wait(pause);
    if (!waited) co_return waited.error();
    pause = std::min(pause * 2, longest_pause);
  }
}

class FileStorage final : public Storage {
 public:
  FileStorage(fs::path folder, FileStorageOptions options)
      : store_(std::make_shared<FileStore>(std::move(folder), std::move(options))) {}

  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities;
    capabilities.many_in_one = true;
    capabilities.prompt_changes = true;
    capabilities.typed = true;
    return capabilities;
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    using Values = std::vector<std::optional<StoredValue>>;
    if (Result<void> valid = storage::check_keys(keys); !valid) co_return valid.error();
    const Instant time = co_await now();
    Values all;
    for (std::size_t begin = 0; begin < keys.size(); begin += keys_in_a_step) {
      const std::vector<std::string> some(
          keys.begin() + static_cast<std::ptrdiff_t>(begin),
          keys.begin() + static_cast<std::ptrdiff_t>(std::min(begin + keys_in_a_step, keys.size())));
      const std::function<Values(const Folder&)> read = [store = store_, some, time](const Folder& root) {
        Values values;
        for (const std::string& key : some) {
          std::optional<FileValue> found = storage::value_at(*store, root, key, time.wall);
          values.push_back(found ? std::optional(std::move(found->stored)) : std::nullopt);
        }
        return values;
      };
      const std::function<std::optional<Values>(unsigned)> attempt = [store = store_, read](unsigned tries) {
        return read_store<Values>(*store, tries, read);
      };
      Result<Values> values = co_await patiently<Values>(store_, attempt);
      if (!values) co_return values.error();
      std::move(values->begin(), values->end(), std::back_inserter(all));
    }
    co_return all;
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    if (Result<void> valid = storage::check_list(prefix, limit); !valid) co_return valid.error();
    const Instant time = co_await now();
    std::vector<StoredItem> items;
    while (items.size() < limit) {
      const std::size_t count = std::min(keys_in_a_step, limit - items.size());
      const std::function<Page(const Folder&)> read = [store = store_, prefix, after, count, with_values,
                                                       time](const Folder& root) {
        return storage::page_of(*store, root, prefix, after, count, with_values, time.wall);
      };
      const std::function<std::optional<Page>(unsigned)> attempt = [store = store_, read](unsigned tries) {
        return read_store<Page>(*store, tries, read);
      };
      Result<Page> page = co_await patiently<Page>(store_, attempt);
      if (!page) co_return page.error();
      std::move(page->items.begin(), page->items.end(), std::back_inserter(items));
      if (page->is_end) break;
      after = page->last;
    }
    co_return items;
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    using Revisions = std::vector<Revision>;
    if (Result<void> valid = storage::check_writes(writes, capabilities()); !valid) co_return valid.error();
    if (writes.empty()) co_return Revisions();
    const Instant time = co_await now();
    const std::function<std::optional<Revisions>(unsigned)> attempt = [store = store_, writes, time](unsigned) {
      return storage::write_store(*store, writes, time.wall);
    };
    Result<Revisions> revisions = co_await patiently<Revisions>(store_, attempt);
    co_return revisions;
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    using Token = std::optional<std::uint64_t>;
    if (Result<void> valid = storage::check_lease(name, ttl); !valid) co_return valid.error();
    const Instant time = co_await now();
    const std::function<std::optional<Token>(unsigned)> attempt = [store = store_, name, owner, ttl,
                                                                   time](unsigned) -> std::optional<Token> {
      const std::optional<LockedStore> locked = LockedStore::take(*store);
      if (!locked) return std::nullopt;
      return store->leases.acquire(locked->root(), name, owner, ttl, time.steady);
    };
    Result<Token> token = co_await patiently<Token>(store_, attempt);
    if (!token) co_return token.error();
    std::optional<Lease> lease;
    if (*token) {
      lease.emplace();
      lease->name = std::move(name);
      lease->token = **token;
      lease->good_until = time.steady + storage::clamped(ttl);
    }
    co_return lease;
  }

  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    using Held = std::vector<std::optional<Lease>>;
    for (const Lease& lease : leases) {
      if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
      if (Result<void> valid = storage::check_lease(lease.name, ttl); !valid) co_return valid.error();
    }
    Held all;
    for (std::size_t begin = 0; begin < leases.size(); begin += leases_in_a_step) {
      const Instant time = co_await now();
      const std::vector<Lease> some(
          leases.begin() + static_cast<std::ptrdiff_t>(begin),
          leases.begin() + static_cast<std::ptrdiff_t>(std::min(begin + leases_in_a_step, leases.size())));
      const std::function<std::optional<Held>(unsigned)> attempt = [store = store_, some, ttl,
                                                                    time](unsigned) -> std::optional<Held> {
        const std::optional<LockedStore> locked = LockedStore::take(*store);
        if (!locked) return std::nullopt;
        Held held;
        for (Lease lease : some) {
          const bool is_held = store->leases.renew(locked->root(), lease, ttl, time.steady);
          lease.good_until = time.steady + storage::clamped(ttl);
          held.push_back(is_held ? std::optional(std::move(lease)) : std::nullopt);
        }
        return held;
      };
      Result<Held> held = co_await patiently<Held>(store_, attempt);
      if (!held) co_return held.error();
      std::move(held->begin(), held->end(), std::back_inserter(all));
    }
    co_return all;
  }

  Flow<Result<void>> release(Lease lease) override {
    if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
    const std::function<std::optional<bool>(unsigned)> attempt = [store = store_, lease](unsigned) {
      std::optional<bool> done;
      if (store->leases.release(lease)) {
        done = true;
      } else if (const std::optional<LockedStore> locked = LockedStore::take(*store)) {
        storage::LeaseBook::release_of_other(locked->root(), lease);
        done = true;
      }
      return done;
    };
    Result<bool> released = co_await patiently<bool>(store_, attempt);
    if (!released) co_return released.error();
    co_return Result<void>();
  }

  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    if (Result<void> valid = storage::check_prefix(prefix); !valid) co_return valid.error();
    const Instant begin = co_await now();
    const auto end = begin.steady + storage::clamped(patience);
    const auto seen = std::make_shared<std::string>(), next = std::make_shared<std::string>();
    while (true) {
      const std::function<Result<void>()> look = [store = store_, seen, next, prefix, cursor] {
        const Folder root = store->open();
        std::string present = ChangeLog::look(root);
        if (present == *seen) return Result<void>();
        *next = cursor.empty() ? ChangeLog::cursor(root)
                               : ChangeLog::changed_since(root, cursor, prefix).value_or(std::string());
        *seen = std::move(present);
        return Result<void>();
      };
      Result<void> looked = co_await call_storing(look);
      if (!looked) co_return looked.error();
      if (!next->empty()) co_return *next;
      const Instant time = co_await now();
      if (time.steady >= end) co_return cursor;
      const auto left = std::chrono::ceil<std::chrono::microseconds>(end - time.steady);
      Result<void> waited = co_await wait(std::min<std::chrono::microseconds>(look_interval, left));
      if (!waited) co_return waited.error();
    }
  }

 private:
  const std::shared_ptr<FileStore> store_;
};

}  // namespace

std::filesystem::path certificate_folder(const std::filesystem::path& folder, std::string_view id) {
  return folder / storage::place_of(certificate_record_key(id)).folder;
}

std::shared_ptr<Storage> file_storage(fs::path folder, FileStorageOptions options) {
  if (folder.empty()) throw Error(Errc::invalid_argument, "opening a file storage", "the path of its folder is empty");
  folder = storage::absolute_path(folder, "opening a file storage");
  return std::make_shared<FileStorage>(std::move(folder), std::move(options));
}

}  // namespace culmen
