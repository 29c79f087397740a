// For writing an engine (a Storage of your own): what has to be checked, errors in the same words, and changed() for
// stores that notify nobody. docs/storage.md has an example.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/error.hpp"
#include "culmen/flow.hpp"
#include "culmen/result.hpp"
#include "culmen/storage.hpp"

namespace culmen::storage {

inline constexpr std::size_t longest_key = 512, longest_lease_name = 480;

// The errors are invalid_argument. They name the key, and say what is wrong with it.

/// Parts that storage_part() returns, joined by "/", at most longest_key octets in all.
Result<void> check_key(std::string_view key);
Result<void> check_keys(const std::vector<std::string>& keys);
/// Empty, or a key followed by "/".
Result<void> check_prefix(std::string_view prefix);
/// Arguments of Storage::list(). `limit` must not be 0: a caller that reads page by page would never end.
Result<void> check_list(std::string_view prefix, std::size_t limit);
/// Keys, values, fences and times to live; that no key occurs twice; that there is one write at most, unless the engine
/// has many_in_one.
Result<void> check_writes(const std::vector<Write>& writes, const StorageCapabilities& capabilities);
/// The name of a lease, which is a key of at most longest_lease_name octets, and its time to live.
Result<void> check_lease(std::string_view name, std::chrono::seconds ttl);
/// Leases that are to be renewed or released: their names, and that they were acquired.
Result<void> check_held(const Lease& lease);

/// Whether a lease of that name can guard `key`: whether the name is a prefix of it in whole parts.
bool guards(std::string_view lease_name, std::string_view key);

/// At least zero, and no longer than clocks can count.
std::chrono::seconds clamped(std::chrono::seconds duration);

/// What differs from `expected`: another value, or none.
Error conflict_error(std::string_view key, const Revision& expected, bool exists);
/// The fence of `write` has a token that is not the newest.
Error fenced_error(const Write& write);

/// Storage::changed() by listing all keys below the prefix every `interval`. The cursor is a digest of the list. Must
/// not outlive `storage`.
Flow<Result<std::string>> changed_by_polling(Storage& storage, std::string prefix, std::string cursor,
                                             std::chrono::seconds patience,
                                             std::chrono::milliseconds interval = std::chrono::seconds(1));

}  // namespace culmen::storage
