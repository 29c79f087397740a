// Where everything is kept that outlives a process: values with revisions, and leases whose tokens guard writes.
// docs/storage.md has the contract in full, and how to write an engine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/flow.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// The version of a stored value: opaque, except that equal texts are the same version. A plain value.
struct Revision {
  Revision() = default;
  explicit Revision(std::string text_) : text(std::move(text_)) {}
  bool operator==(const Revision&) const = default;
  /// Of a value that does not exist.
  bool none() const noexcept { return text.empty(); }
  std::string text;
};

/// A value as it is stored. A plain value; it may contain any octets.
struct StoredValue {
  StoredValue() = default;
  StoredValue(std::string value_, Revision revision_) : value(std::move(value_)), revision(std::move(revision_)) {}
  std::string value;
  Revision revision;
};

/// An item of Storage::list(). A plain value.
struct StoredItem {
  StoredItem() = default;
  StoredItem(std::string key_, StoredValue stored_) : key(std::move(key_)), stored(std::move(stored_)) {}
  std::string key;
  StoredValue stored;  ///< Its value is empty unless list() was asked for values.
};

/// A lease that is held: the right to change what is below its name. A plain value.
struct Lease {
  Lease() = default;
  std::string name;
  std::uint64_t token = 0;  ///< Larger with each acquisition of that name, forever. Never 0 for a lease that is held.
  std::string handle;       ///< For the engine; empty in most.
  /// When the lease ends unless it is renewed, by the clock of this machine: time to live counted from *before* the
  /// request was sent. Start no guarded write in the last sixth of the time to live.
  std::chrono::steady_clock::time_point good_until;
};

/// One change. A plain value.
struct Write {
  /// Stores `value`; without a value, removes what is there.
  explicit Write(std::string key_, std::optional<std::string> value_ = std::nullopt)
      : key(std::move(key_)), value(std::move(value_)) {}
  std::string key;
  std::optional<std::string> value;
  /// What must be there now, or nothing is changed (Errc::conflict). Revision(): the key must not exist. nullopt: any.
  std::optional<Revision> expected;
  /// Refused (Errc::fenced) if a lease of that name with a larger token was given out. Its name must be a prefix of
  /// `key`, in whole parts: "certificates/a" guards "certificates/a/record".
  std::optional<Lease> fence;
  /// The value may be removed by the engine after that time, and is not returned any more after twice of it. At least
  /// one second.
  std::optional<std::chrono::seconds> expires_in;
};

/// What an engine can do. A plain value.
struct StorageCapabilities {
  StorageCapabilities() = default;
  bool many_in_one = false;     ///< write() of several keys is done as a whole or not at all.
  bool prompt_changes = false;  ///< changed() returns within two seconds of a change.
  bool typed = false;           ///< Below accounts/, certificates/ and keys/ only what records.hpp says is stored.
  std::size_t longest_value = 1 << 19;  ///< In octets; a longer one is invalid_argument.
};

/// A store: the interface for engines. culmen has MemoryStorage, FileStorage and PostgresStorage; the conformance suite
/// (storage_conformance.hpp) tests one of your own.
///
/// Keys are parts joined by "/", at most 512 octets in all; names of leases are keys of at most 480. A part is what
/// storage_part() returns: it has no upper case, so that file systems that ignore case can keep it.
///
/// Every function is a Flow: it asks for what it needs, and can be cancelled at any point. Several flows, executions
/// and threads may use one Storage at once, and several processes one store. A Storage must outlive its flows.
///
/// Errors: invalid_argument (a key, a value or a prefix of a fence that is not valid; nothing was changed), conflict
/// and fenced (nothing was changed), io_failed, connection_failed, timeout and others of the engine. After an error of
/// the last kind of write() the change may have been made or not: load the keys and compare the values before writing
/// again. What cannot be read is an error, never nullopt. Engines limit each of their steps to two seconds, so that
/// stopping is prompt while a server does not answer.
class Storage {
 public:
  virtual ~Storage() = default;
  virtual StorageCapabilities capabilities() const noexcept = 0;

  /// The values of the keys, in the order of the keys; nullopt for those that do not exist.
  virtual Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) = 0;
  /// The keys that begin with `prefix`, a key followed by "/" or empty, in the order of their octets, from the first
  /// after `after`, which need not exist; at most `limit`, fewer only at the end. A limit of 0 is invalid_argument. A
  /// single value that is damaged does not hide the others: it is listed without a revision, and load() of its key
  /// returns the error.
  virtual Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after = {},
                                                     std::size_t limit = 1000, bool with_values = false) = 0;
  /// Makes all changes, or none if the engine has many_in_one; without it, more than one is invalid_argument. Returns
  /// the new revisions in the order of the writes; that of a removed value is none. Removing what does not exist is no
  /// error. One key may occur only once.
  virtual Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) = 0;

  /// nullopt, at once, while another lease of that name is held. `owner` is for people, such as "host:1234". The time
  /// to live is at least one second.
  virtual Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) = 0;
  /// Extends the leases to `ttl` from now; nullopt for those that are lost. Tokens stay the same. A lease that has
  /// ended is lost, even if nobody else has acquired it since. Each is passed as acquire() or the last renew() returned
  /// it: an engine without a clock of its own goes by good_until.
  virtual Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases,
                                                                std::chrono::seconds ttl) = 0;
  /// Ends the lease; nothing happens if it is lost already.
  virtual Flow<Result<void>> release(Lease lease) = 0;

  /// Waits until a key that begins with `prefix` may have changed since `cursor` was returned, at most `patience`.
  /// Returns the next cursor, the same one if nothing changed. An empty cursor: returns the present one at once.
  virtual Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) = 0;
};

/// The part of a key for any text: lower-case letters, digits, '-', '_', '@' and '.' stay, except for a dot in front;
/// every other octet becomes '%' and two hexadecimal digits; an empty text becomes "%". Different texts have different
/// parts, even if case is ignored. The same in all versions.
std::string storage_part(std::string_view text);
/// The text that has this part; nullopt if it is not what storage_part() returns.
std::optional<std::string> storage_part_text(std::string_view part);

// ---- Helpers for one key ----

/// The value of one key.
Flow<Result<std::optional<StoredValue>>> load_one(Storage& storage, std::string key);
/// One change; returns the new revision.
Flow<Result<Revision>> write_one(Storage& storage, Write write);

/// Keeps everything in memory, until the last copy of the pointer is destroyed. Thread-safe. Has many_in_one and
/// prompt_changes. Needs about 220 octets a value beside the value itself.
std::shared_ptr<Storage> memory_storage();

}  // namespace culmen
