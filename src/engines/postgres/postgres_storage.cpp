#include "culmen/postgres_storage.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "culmen/storage_engine.hpp"
#include "engines/postgres/database.hpp"

namespace culmen {

namespace {

using postgres::Database;
using postgres::most_in_one_step;
using namespace std::chrono_literals;

/// A step that blocks, at most two seconds. All go where those go that store something durable: none of them may wait
/// behind a user's function, such as a DNS hook, while a lease runs out. What `work` refers to must be shared with it.
template <class T>
Flow<Result<T>> step(std::function<Result<T>()> work) {
  auto outcome = std::make_shared<std::optional<Result<T>>>();
  std::function<Result<void>()> function = [outcome, work = std::move(work)] {
    outcome->emplace(work());
    return Result<void>();
  };
  Result<void> called = co_await call_storing(std::move(function));
  if (!called) co_return called.error();
  co_return std::move(**outcome);
}

/// The elements from `begin`, as many as one step takes.
template <class T>
std::vector<T> part_of(const std::vector<T>& all, std::size_t begin) {
  const std::size_t end = std::min(all.size(), begin + most_in_one_step);
  return std::vector<T>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                        all.begin() + static_cast<std::ptrdiff_t>(end));
}

class PostgresStorage final : public Storage {
 public:
  explicit PostgresStorage(const PostgresOptions& options)
      : database_(std::make_shared<Database>(options)), poll_interval_(options.poll_interval) {
    if (poll_interval_ < 100ms) {
      throw Error(Errc::invalid_argument, "using PostgreSQL", "poll_interval must be at least 100 ms");
    }
  }

  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities;
    capabilities.many_in_one = true;
    capabilities.prompt_changes = poll_interval_ <= 1s;
    return capabilities;
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    using Values = std::vector<std::optional<StoredValue>>;
    if (Result<void> valid = storage::check_keys(keys); !valid) co_return valid.error();
    Values values;
    for (std::size_t begin = 0; begin < keys.size(); begin += most_in_one_step) {
      std::function<Result<Values>()> work = [database = database_, part = part_of(keys, begin)] {
        return database->load(part);
      };
      Result<Values> loaded = co_await step<Values>(std::move(work));
      if (!loaded) co_return loaded.error();
      std::ranges::move(*loaded, std::back_inserter(values));
    }
    co_return values;
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    using Items = std::vector<StoredItem>;
    if (Result<void> valid = storage::check_list(prefix, limit); !valid) co_return valid.error();
    Items items;
    while (items.size() < limit) {
      const std::size_t most = std::min(limit - items.size(), most_in_one_step);
      std::function<Result<Items>()> work = [database = database_, prefix, after, most, with_values] {
        return database->list(prefix, after, most, with_values);
      };
      Result<Items> listed = co_await step<Items>(std::move(work));
      if (!listed) co_return listed.error();
      const bool is_last = listed->size() < most;
      std::ranges::move(*listed, std::back_inserter(items));
      if (is_last) break;
      after = items.back().key;
    }
    co_return items;
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    using Revisions = std::vector<Revision>;
    if (Result<void> valid = storage::check_writes(writes, capabilities()); !valid) co_return valid.error();
    if (writes.empty()) co_return Revisions();
    std::function<Result<Revisions>()> work = [database = database_, writes = std::move(writes)] {
      return database->write(writes);
    };
    Result<Revisions> written = co_await step<Revisions>(std::move(work));
    if (written && database_->sweep_is_due()) {
      std::function<Result<void>()> sweep = [database = database_] {
        database->sweep();
        return Result<void>();
      };
      Result<void> ignored = co_await call_storing(std::move(sweep));
      static_cast<void>(ignored);
    }
    co_return written;
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    using Token = std::optional<std::uint64_t>;
    if (Result<void> valid = storage::check_lease(name, ttl); !valid) co_return valid.error();
    const Instant begin = co_await now();
    std::function<Result<Token>()> work = [database = database_, name, owner, ttl] {
      return database->acquire(name, owner, ttl);
    };
    Result<Token> token = co_await step<Token>(std::move(work));
    if (!token) co_return token.error();
    std::optional<Lease> lease;
    if (*token) {
      lease.emplace();
      lease->name = std::move(name);
      lease->token = **token;
      lease->good_until = begin.steady + storage::clamped(ttl);
    }
    co_return lease;
  }

  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    for (const Lease& lease : leases) {
      if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
      if (Result<void> valid = storage::check_lease(lease.name, ttl); !valid) co_return valid.error();
    }
    std::vector<std::optional<Lease>> renewed;
    for (std::size_t begin = 0; begin < leases.size(); begin += most_in_one_step) {
      const Instant time = co_await now();
      const std::vector<Lease> part = part_of(leases, begin);
      std::function<Result<std::vector<bool>>()> work = [database = database_, part, ttl] {
        return database->renew(part, ttl);
      };
      Result<std::vector<bool>> held = co_await step<std::vector<bool>>(std::move(work));
      if (!held) co_return held.error();
      for (std::size_t i = 0; i < part.size(); ++i) {
        renewed.push_back((*held)[i] ? std::optional(part[i]) : std::nullopt);
        if (renewed.back()) renewed.back()->good_until = time.steady + storage::clamped(ttl);
      }
    }
    co_return renewed;
  }

  Flow<Result<void>> release(Lease lease) override {
    if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
    std::function<Result<void>()> work = [database = database_, lease = std::move(lease)] {
      return database->release(lease);
    };
    Result<void> released = co_await call_storing(std::move(work));
    co_return released;
  }

  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    using Look = Database::Look;
    if (Result<void> valid = storage::check_prefix(prefix); !valid) co_return valid.error();
    const Instant begin = co_await now();
    const auto end = begin.steady + storage::clamped(patience);
    for (;;) {
      std::function<Result<Look>()> work = [database = database_, prefix, cursor] {
        return database->look(prefix, cursor);
      };
      Result<Look> look = co_await step<Look>(std::move(work));
      if (!look) co_return look.error();
      if (look->changed) co_return look->cursor;
      const Instant time = co_await now();
      if (time.steady >= end) co_return cursor;
      const auto pause = std::min<std::chrono::steady_clock::duration>(poll_interval_, end - time.steady);
      Result<void> waited = co_await wait(std::chrono::ceil<std::chrono::microseconds>(pause));
      if (!waited) co_return waited.error();
    }
  }

 private:
  const std::shared_ptr<Database> database_;  // shared with steps that still run when this is gone
  const std::chrono::milliseconds poll_interval_;
};

}  // namespace

std::shared_ptr<Storage> postgres_storage(PostgresOptions options) {
  return std::make_shared<PostgresStorage>(options);
}

Flow<Result<void>> create_postgres_schema(PostgresOptions options) {
  std::function<Result<void>()> work = [options = std::move(options)] { return Database(options).create_schema(); };
  Result<void> created = co_await call_storing(std::move(work));
  co_return created;
}

}  // namespace culmen
