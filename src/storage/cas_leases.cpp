#include "culmen/cas_leases.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "culmen/error.hpp"
#include "storage/keys.hpp"

namespace culmen {

namespace {

constexpr std::string_view lease_folder = "leases/";
constexpr std::string_view lease_mark = "culmen-lease 1 ", guarded_mark = "culmen-guarded 1 ";
constexpr std::size_t longest_header = 640;  // of a guarded value: the mark, the name of a lease, a token
constexpr int most_tries = 50;               // of a change that conflicts with those of others
constexpr std::size_t bump_page = 100;

bool is_conflict(const Error& error) { return error.code() == Errc::conflict; }

/// Takes a number and the character after it from the front of `text`; nullopt if there is none.
std::optional<std::uint64_t> take_number(std::string_view& text, char end) {
  std::uint64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), last, number);
  if (failed != std::errc() || rest == last || *rest != end) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()) + 1);
  return number;
}

Error unreadable(const std::string& key, const std::string& what) {
  return Error(Errc::io_failed, "loading \"" + printable(key, 200) + "\"",
               "it is not " + what + " as culmen writes it: restore it from a backup, or remove it");
}

// ---- Guarded values ----

/// A line with the lease and its token, so that a value differs after each take-over, and the value. What has no such
/// line was written without a lease.
struct GuardedValue {
  bool exists = true;  ///< False: a placeholder, which makes room for a value that is going to be created.
  std::string value;
};

std::string guarded_text(const std::string& lease, std::uint64_t token, const GuardedValue& guarded) {
  return std::string(guarded_mark) + lease + ' ' + std::to_string(token) + (guarded.exists ? " value\n" : " none\n") +
         guarded.value;
}

/// Without a lease. What could be taken for a guarded value has the line too.
std::string unguarded_text(std::string value) {
  if (!value.starts_with(guarded_mark)) return value;
  GuardedValue guarded;
  guarded.value = std::move(value);
  return guarded_text("-", 0, guarded);
}

Result<GuardedValue> guarded_value(const std::string& key, std::string stored) {
  GuardedValue guarded;
  if (!stored.starts_with(guarded_mark)) {
    guarded.value = std::move(stored);
    return guarded;
  }
  const std::size_t end = stored.find('\n');
  const std::string_view line = std::string_view(stored).substr(0, end);
  guarded.exists = line.ends_with(" value");
  if (end == std::string::npos || (!guarded.exists && !line.ends_with(" none"))) {
    return unreadable(key, "a guarded value");
  }
  guarded.value = stored.substr(end + 1);
  return guarded;
}

// ---- Leases as values ----

struct LeaseRecord {
  std::uint64_t token = 0;
  std::uint64_t beat = 0;  ///< One more with each renewal, so that no two values are equal.
  std::uint64_t ttl = 0;   ///< Seconds; 0: released.
  std::string owner;
  Revision revision;
};

std::string lease_key(const std::string& name) { return std::string(lease_folder) + name; }

std::string lease_text(const LeaseRecord& record) {
  return std::string(lease_mark) + std::to_string(record.token) + ' ' + std::to_string(record.beat) + ' ' +
         std::to_string(record.ttl) + '\n' + record.owner;
}

Result<LeaseRecord> lease_record(const std::string& name, std::optional<StoredValue> stored) {
  LeaseRecord record;
  if (!stored) return record;
  std::string_view text = stored->value;
  const bool marked = text.starts_with(lease_mark);
  if (marked) text.remove_prefix(lease_mark.size());
  const std::optional<std::uint64_t> token = take_number(text, ' '), beat = take_number(text, ' '),
                                     ttl = take_number(text, '\n');
  if (!marked || !token || !beat || !ttl || *token == 0) return unreadable(lease_key(name), "a lease");
  record.token = *token;
  record.beat = *beat;
  record.ttl = *ttl;
  record.owner = text;
  record.revision = std::move(stored->revision);
  return record;
}

class CasLeases final : public Storage {
 public:
  explicit CasLeases(std::shared_ptr<Storage> storage) : storage_(std::move(storage)) {}

  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities = storage_->capabilities();
    capabilities.longest_value -= std::min(capabilities.longest_value, longest_header);
    return capabilities;
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    const std::vector<std::string> wanted = keys;
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage_->load(std::move(keys));
    if (!loaded) co_return loaded;
    for (std::size_t at = 0; at < loaded->size() && at < wanted.size(); ++at) {
      std::optional<StoredValue>& stored = (*loaded)[at];
      if (!stored) continue;
      Result<GuardedValue> guarded = guarded_value(wanted[at], std::move(stored->value));
      if (!guarded) co_return guarded.error();
      stored->value = std::move(guarded->value);
      if (!guarded->exists) stored.reset();
    }
    co_return loaded;
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    if (Result<void> valid = storage::check_list(prefix, limit); !valid) co_return valid.error();
    std::vector<StoredItem> items;
    for (;;) {
      const std::size_t wanted = limit - items.size();
      // With values: a placeholder does not exist.
      Result<std::vector<StoredItem>> page = co_await storage_->list(prefix, after, wanted, true);
      if (!page) co_return page;
      for (StoredItem& item : *page) {
        after = item.key;
        Result<GuardedValue> guarded = guarded_value(item.key, std::move(item.stored.value));
        if (guarded && !guarded->exists) continue;
        if (!guarded) {
          item.stored = StoredValue();  // as every storage lists what cannot be read
        } else {
          item.stored.value = with_values ? std::move(guarded->value) : std::string();
        }
        items.push_back(std::move(item));
      }
      if (page->size() < wanted || items.size() == limit) co_return items;
    }
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    if (Result<void> valid = storage::check_writes(writes, capabilities()); !valid) co_return valid.error();
    for (int tries = 0; tries < most_tries; ++tries) {
      Result<std::optional<std::vector<Revision>>> done = co_await try_to_write(writes);
      if (!done) co_return done.error();
      if (*done) co_return std::move(**done);
    }
    co_return Error(Errc::conflict, "storing \"" + writes.front().key + "\"",
                    "others change it all the time; nothing was changed");
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    if (Result<void> valid = storage::check_lease(name, ttl); !valid) co_return valid.error();
    const Instant begin = co_await now();
    Result<LeaseRecord> found = co_await load_lease(name);
    if (!found) co_return found.error();
    LeaseRecord record = std::move(*found);
    std::optional<Lease> lease;
    if (record.ttl != 0 && !is_silent(name, record, begin.steady)) co_return lease;
    ++record.token;
    record.ttl = static_cast<std::uint64_t>(storage::clamped(ttl).count());
    record.owner = printable(owner, 200);
    Result<bool> taken = co_await replace_lease(name, std::move(record));
    if (!taken) co_return taken.error();
    if (!*taken) co_return lease;  // another was faster
    const std::uint64_t token = found->token + 1;
    // From here on writes with an older token are refused; those under way are when what they are to replace differs.
    Result<void> rewritten = co_await rewrite_below(name, token);
    if (!rewritten) co_return rewritten.error();
    lease.emplace();
    lease->name = std::move(name);
    lease->token = token;
    lease->good_until = begin.steady + storage::clamped(ttl);
    co_return lease;
  }

  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    std::vector<std::optional<Lease>> renewed;
    std::vector<Flow<Result<bool>>> flows;
    const Instant begin = co_await now();
    for (const Lease& lease : leases) {
      if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
      if (Result<void> valid = storage::check_lease(lease.name, ttl); !valid) co_return valid.error();
      // One that has ended is given up, so that nobody has to watch it first.
      const bool has_ended = begin.steady >= lease.good_until;
      flows.push_back(extend(lease, has_ended ? std::chrono::seconds(0) : storage::clamped(ttl)));
    }
    std::vector<Result<bool>> held = co_await all(std::move(flows), 8);
    for (std::size_t at = 0; at < leases.size(); ++at) {
      if (!held[at]) co_return held[at].error();
      const bool is_held = *held[at] && begin.steady < leases[at].good_until;
      leases[at].good_until = begin.steady + storage::clamped(ttl);
      renewed.push_back(is_held ? std::optional(std::move(leases[at])) : std::nullopt);
    }
    co_return renewed;
  }

  Flow<Result<void>> release(Lease lease) override {
    if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
    Result<bool> released = co_await extend(std::move(lease), std::chrono::seconds(0));
    if (!released) co_return released.error();
    co_return Result<void>();
  }

  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    return storage_->changed(std::move(prefix), std::move(cursor), patience);
  }

 private:
  /// A lease record as it was first seen.
  struct Seen {
    Revision revision;
    std::chrono::steady_clock::time_point at;
  };

  /// Whether the lease has not been renewed for so long that it has expired.
  bool is_silent(const std::string& name, const LeaseRecord& record, std::chrono::steady_clock::time_point time) {
    const std::lock_guard lock(mutex_);
    Seen& seen = seen_[name];
    if (seen.revision != record.revision) {
      seen.revision = record.revision;
      seen.at = time;
      return false;
    }
    const std::chrono::seconds ttl = storage::clamped(std::chrono::seconds(record.ttl));
    return time - seen.at >= ttl + ttl / 10 + std::chrono::milliseconds(100);
  }
  void forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    seen_.erase(name);
  }

  Flow<Result<LeaseRecord>> load_lease(std::string name) {
    Result<std::optional<StoredValue>> loaded = co_await load_one(*storage_, lease_key(name));
    if (!loaded) co_return loaded.error();
    co_return lease_record(name, std::move(*loaded));
  }

  /// False if it is another one by now.
  Flow<Result<bool>> replace_lease(std::string name, LeaseRecord record) {
    ++record.beat;
    Write change(lease_key(name), lease_text(record));
    change.expected = std::move(record.revision);
    Result<Revision> written = co_await write_one(*storage_, std::move(change));
    forget(name);
    if (written) co_return true;
    if (is_conflict(written.error())) co_return false;
    co_return written.error();
  }

  /// Renews the lease, or releases it if `ttl` is 0. False if it is lost.
  Flow<Result<bool>> extend(Lease lease, std::chrono::seconds ttl) {
    for (int tries = 0; tries < most_tries; ++tries) {
      Result<LeaseRecord> found = co_await load_lease(lease.name);
      if (!found) co_return found.error();
      if (found->token != lease.token || found->ttl == 0) co_return false;
      found->ttl = static_cast<std::uint64_t>(ttl.count());
      Result<bool> replaced = co_await replace_lease(lease.name, std::move(*found));
      if (!replaced || *replaced) co_return replaced;
    }
    co_return Error(Errc::conflict, "renewing the lease \"" + lease.name + "\"", "others change it all the time");
  }

  /// Rewrites every value below the name of a lease with its token.
  Flow<Result<void>> rewrite_below(std::string name, std::uint64_t token) {
    std::string after;
    for (;;) {
      Result<std::vector<StoredItem>> page = co_await storage_->list(name + "/", after, bump_page, true);
      if (!page) co_return page.error();
      for (StoredItem& item : *page) {
        after = item.key;
        std::optional<StoredValue> stored = std::move(item.stored);
        Result<void> rewritten = co_await rewrite(name, token, item.key, std::move(stored));
        if (!rewritten) co_return rewritten;
      }
      if (page->size() < bump_page) co_return Result<void>();
    }
  }

  Flow<Result<void>> rewrite(std::string name, std::uint64_t token, std::string key,
                             std::optional<StoredValue> stored) {
    for (int tries = 0; stored && tries < most_tries; ++tries) {
      Result<GuardedValue> guarded = guarded_value(key, std::move(stored->value));
      if (!guarded) co_return guarded.error();
      Write change(key);
      if (guarded->exists) change.value = guarded_text(name, token, *guarded);
      change.expected = std::move(stored->revision);
      Result<Revision> written = co_await write_one(*storage_, std::move(change));
      if (written) co_return Result<void>();
      if (!is_conflict(written.error())) co_return written.error();
      // Written at the last moment, or by somebody without a lease.
      Result<std::optional<StoredValue>> loaded = co_await load_one(*storage_, key);
      if (!loaded) co_return loaded.error();
      stored = std::move(*loaded);
    }
    if (!stored) co_return Result<void>();
    co_return Error(Errc::conflict, "taking over \"" + key + "\"", "others change it all the time");
  }

  /// nullopt: others changed something meanwhile.
  Flow<Result<std::optional<std::vector<Revision>>>> try_to_write(const std::vector<Write>& writes) {
    // First what is there, then whether the leases still count: if they do, whoever takes one over does it after the
    // load, and changes the revisions.
    std::vector<std::string> keys;
    for (const Write& write : writes) keys.push_back(write.key);
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage_->load(keys);
    if (!loaded) co_return loaded.error();
    if (loaded->size() != writes.size()) {
      co_return Error(Errc::bad_response, "loading keys", "the storage returned another number of values");
    }
    for (const Write& write : writes) {
      if (!write.fence) continue;
      Result<LeaseRecord> lease = co_await load_lease(write.fence->name);
      if (!lease) co_return lease.error();
      if (lease->token != write.fence->token) co_return storage::fenced_error(write);
    }

    std::vector<Write> placeholders, changes;
    std::vector<std::size_t> places;
    for (std::size_t at = 0; at < writes.size(); ++at) {
      const Write& write = writes[at];
      Revision there;  // also of a placeholder
      bool exists = false;
      if (std::optional<StoredValue>& stored = (*loaded)[at]) {
        there = std::move(stored->revision);
        Result<GuardedValue> guarded = guarded_value(write.key, std::move(stored->value));
        if (!guarded) co_return guarded.error();
        exists = guarded->exists;
      }
      const Revision seen = exists ? there : Revision();
      if (write.expected && *write.expected != seen) {
        co_return storage::conflict_error(write.key, *write.expected, exists);
      }
      if (!write.value && there.none()) continue;  // nothing to remove
      Write change(write.key);
      if (write.fence && there.none()) {
        // What does not exist cannot be rewritten by whoever takes the lease over. So it is created first.
        GuardedValue none;
        none.exists = false;
        change.value = guarded_text(write.fence->name, write.fence->token, none);
        change.expected = Revision();
        placeholders.push_back(std::move(change));
        continue;
      }
      if (write.value && write.fence) {
        GuardedValue guarded;
        guarded.value = *write.value;
        change.value = guarded_text(write.fence->name, write.fence->token, guarded);
      } else if (write.value) {
        change.value = unguarded_text(*write.value);
      }
      if (write.fence || write.expected) change.expected = std::move(there);
      change.expires_in = write.expires_in;
      changes.push_back(std::move(change));
      places.push_back(at);
    }
    std::optional<std::vector<Revision>> done;
    if (!placeholders.empty()) {
      Result<std::vector<Revision>> created = co_await storage_->write(std::move(placeholders));
      if (!created && !is_conflict(created.error())) co_return created.error();
      co_return done;
    }
    done.emplace(writes.size());
    if (changes.empty()) co_return done;
    Result<std::vector<Revision>> written = co_await storage_->write(std::move(changes));
    if (!written && is_conflict(written.error())) co_return std::optional<std::vector<Revision>>();
    if (!written) co_return written.error();
    for (std::size_t at = 0; at < places.size() && at < written->size(); ++at) {
      (*done)[places[at]] = std::move((*written)[at]);
    }
    co_return done;
  }

  std::shared_ptr<Storage> storage_;
  std::mutex mutex_;
  std::map<std::string, Seen> seen_;
};

}  // namespace

std::shared_ptr<Storage> cas_leases(std::shared_ptr<Storage> storage) {
  const char* const doing = "making leases by compare-and-set";
  if (!storage) throw Error(Errc::invalid_argument, doing, "there is no storage");
  if (storage->capabilities().typed) {
    throw Error(
        Errc::invalid_argument, doing,
        "this storage keeps records as files that other programs read, and takes nothing else; it has leases of "
        "its own");
  }
  return std::make_shared<CasLeases>(std::move(storage));
}

}  // namespace culmen
