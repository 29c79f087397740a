#include "culmen/storage_engine.hpp"

#include <algorithm>
#include <utility>

#include "storage/part.hpp"

namespace culmen::storage {

namespace {

constexpr std::chrono::seconds shortest_ttl{1};
constexpr std::chrono::seconds longest_duration = std::chrono::hours(24 * 365 * 100);

std::string shown(std::string_view key) { return "\"" + printable(key, 200) + "\""; }

Error refused(const std::string& what, std::string_view key, const std::string& detail) {
  return Error(Errc::invalid_argument, "using the " + what + " " + shown(key), detail);
}

/// What is wrong with the key; empty if it is valid.
std::string fault_of_key(std::string_view key) {
  if (key.empty()) return "it is empty";
  if (key.size() > longest_key) {
    return "it has " + std::to_string(key.size()) + " octets; keys have at most " + std::to_string(longest_key);
  }
  for (;;) {
    const std::size_t length = key.find('/');
    const std::string_view part = key.substr(0, length);
    if (part.empty()) return "it has an empty part";
    if (!is_part(part)) return shown(part) + " is not a part of a key; storage_part() makes one from any text";
    if (length == std::string_view::npos) return {};
    key.remove_prefix(length + 1);
  }
}

std::string fault_of_lease_name(std::string_view name) {
  if (name.size() <= longest_lease_name) return fault_of_key(name);
  return "it has " + std::to_string(name.size()) + " octets; names of leases have at most " +
         std::to_string(longest_lease_name);
}

Result<void> check_write(const Write& write, std::size_t longest_value) {
  if (Result<void> valid = check_key(write.key); !valid) return valid;
  if (write.value && write.value->size() > longest_value) {
    return Error(Errc::invalid_argument, "storing " + shown(write.key),
                 "the value has " + std::to_string(write.value->size()) + " octets; this storage takes at most " +
                     std::to_string(longest_value));
  }
  if (write.expires_in && *write.expires_in < shortest_ttl) {
    return Error(Errc::invalid_argument, "storing " + shown(write.key), "expires_in must be at least one second");
  }
  if (!write.fence) return {};
  if (Result<void> held = check_held(*write.fence); !held) return held;
  if (guards(write.fence->name, write.key)) return {};
  return Error(Errc::invalid_argument, "storing " + shown(write.key),
               "the lease " + shown(write.fence->name) +
                   " cannot guard it: the name of the lease must be a prefix of the key, in whole parts");
}

}  // namespace

Result<void> check_key(std::string_view key) {
  const std::string fault = fault_of_key(key);
  if (fault.empty()) return {};
  return refused("storage key", key, fault);
}

Result<void> check_keys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (Result<void> valid = check_key(key); !valid) return valid;
  }
  return {};
}

Result<void> check_prefix(std::string_view prefix) {
  if (prefix.empty()) return {};
  if (!prefix.ends_with('/')) return refused("storage prefix", prefix, "it must be empty or end in \"/\"");
  const std::string fault = fault_of_key(prefix.substr(0, prefix.size() - 1));
  if (fault.empty()) return {};
  return refused("storage prefix", prefix, fault);
}

Result<void> check_list(std::string_view prefix, std::size_t limit) {
  if (limit == 0) return refused("storage prefix", prefix, "the limit for its list is 0; it must be at least 1");
  return check_prefix(prefix);
}

Result<void> check_writes(const std::vector<Write>& writes, const StorageCapabilities& capabilities) {
  if (writes.size() > 1 && !capabilities.many_in_one) {
    return Error(Errc::invalid_argument, "storing " + shown(writes.front().key) + " and others",
                 "this storage changes one key at a time, and " + std::to_string(writes.size()) + " were given");
  }
  std::vector<std::string_view> keys;
  for (const Write& write : writes) {
    if (Result<void> valid = check_write(write, capabilities.longest_value); !valid) return valid;
    keys.push_back(write.key);
  }
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice == keys.end()) return {};
  return Error(Errc::invalid_argument, "storing " + shown(*twice), "the key occurs twice among the writes");
}

Result<void> check_lease(std::string_view name, std::chrono::seconds ttl) {
  const std::string fault = fault_of_lease_name(name);
  if (!fault.empty()) return refused("lease", name, fault);
  if (ttl >= shortest_ttl) return {};
  return refused("lease", name, "its time to live must be at least one second");
}

Result<void> check_held(const Lease& lease) {
  const std::string fault = fault_of_lease_name(lease.name);
  if (!fault.empty()) return refused("lease", lease.name, fault);
  if (lease.token != 0) return {};
  return refused("lease", lease.name, "it was never acquired: its token is 0");
}

bool guards(std::string_view lease_name, std::string_view key) {
  return key.size() > lease_name.size() && key.starts_with(lease_name) && key[lease_name.size()] == '/';
}

std::chrono::seconds clamped(std::chrono::seconds duration) {
  return std::clamp(duration, std::chrono::seconds(0), longest_duration);
}

Error conflict_error(std::string_view key, const Revision& expected, bool exists) {
  std::string detail = "another one is there";
  if (expected.none()) detail = "it exists already";
  if (!exists) detail = "it does not exist any more";
  return Error(Errc::conflict, "storing " + shown(key), detail + "; nothing was changed");
}

Error fenced_error(const Write& write) {
  return Error(Errc::fenced, "storing " + shown(write.key),
               "the lease " + shown(write.fence->name) + " with token " + std::to_string(write.fence->token) +
                   " is not valid any more: it was taken over; nothing was changed");
}

}  // namespace culmen::storage
