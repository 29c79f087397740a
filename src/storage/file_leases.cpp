#include "storage/file_leases.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "culmen/error.hpp"
#include "culmen/storage_engine.hpp"
#include "storage/durable_files.hpp"
#include "storage/file_layout.hpp"
#include "storage/file_locks.hpp"
#include "storage/file_values.hpp"

#include "storage/system_error.hpp"

namespace culmen::storage {

namespace {

namespace json = boost::json;

constexpr const char* lease_file = "lease.json";
constexpr const char* lock_file = "lease.lock";
constexpr std::chrono::seconds unknown_ttl{60};  // of a holder that has not written a beat yet

/// What lease.json says.
struct LeaseState {
  std::uint64_t token = 0;
  std::string owner;
  bool released = false;  // by another than who holds the lock
};

LeaseState state_in(const Folder& folder) {
  LeaseState state;
  const std::optional<FileRead> file = folder.read(lease_file);
  if (!file) return state;
  boost::system::error_code failed;
  const json::value value = json::parse(file->contents, failed);
  const json::object* const members = failed ? nullptr : value.if_object();
  const json::value* const token = members ? members->if_contains("token") : nullptr;
  if (!token || !token->is_int64() || token->get_int64() <= 0) {
    throw Error(Errc::io_failed, "reading " + (folder.path() / lease_file).string(),
                "it has no token; restore it from a backup: no token must be given out twice");
  }
  state.token = static_cast<std::uint64_t>(token->get_int64());
  const json::value* const owner = members->if_contains("owner");
  if (owner && owner->is_string()) state.owner = std::string(owner->get_string());
  const json::value* const released = members->if_contains("released");
  state.released = released && released->is_bool() && released->get_bool();
  return state;
}

void put_state(Change& change, const std::string& path, const LeaseState& state) {
  json::object members;
  members["format"] = 1;
  members["token"] = state.token;
  members["owner"] = state.owner;
  members["released"] = state.released;
  change.put_file(path + "/" + lease_file, json::serialize(members) + "\n", 0600);
}

/// "60 0123456789abcdef": the time to live, and a text that is another one with each beat.
std::chrono::seconds ttl_in(const std::string& beat) {
  std::int64_t seconds = 0;
  const auto [end, failed] = std::from_chars(beat.data(), beat.data() + beat.size(), seconds);
  return failed == std::errc() && seconds > 0 ? clamped(std::chrono::seconds(seconds)) : unknown_ttl;
}

}  // namespace

std::uint64_t LeaseBook::token_of(const Folder& root, const std::string& name) {
  const std::optional<Folder> folder = root.find(lease_folder(name));
  return folder ? state_in(*folder).token : 0;
}

std::optional<std::uint64_t> LeaseBook::acquire(const Folder& root, const std::string& name, const std::string& owner,
                                                std::chrono::seconds ttl, SteadyTime time) {
  const std::lock_guard lock(mutex_);
  const std::string path = lease_folder(name);
  const Folder folder = root.make(path);
  LeaseState state = state_in(folder);
  const std::string doing = "acquiring the lease \"" + name + "\"";
  std::optional<FileLock> held = FileLock::of_description(folder.open_or_make(lock_file), doing);
  Change change(root);
  if (!held) {
    const std::optional<FileRead> present = folder.read(lock_file);
    if (!state.released && !is_silent(name, present ? present->contents : std::string(), time)) return std::nullopt;
    // The holder keeps its lock, on a file that has no name any more. By the new token it knows that the lease is lost.
    change.put_file(path + "/" + lock_file, "", 0600);
  }
  ++state.token;
  state.owner = owner;
  state.released = false;
  put_state(change, path, state);
  change.commit([] {});
  if (!held) held = FileLock::of_description(folder.open_or_make(lock_file), doing);
  if (!held) throw Error(Errc::io_failed, doing, "somebody else locked " + path);
  beat(held->file(), root, name, ttl, time);
  held_.insert_or_assign(name, Held{*std::move(held), state.token});
  return state.token;
}

bool LeaseBook::renew(const Folder& root, const Lease& lease, std::chrono::seconds ttl, SteadyTime time) {
  const std::lock_guard lock(mutex_);
  const auto held = held_.find(lease.name);
  if (held == held_.end() || held->second.token != lease.token) return false;
  const std::optional<Folder> folder = root.find(lease_folder(lease.name));
  const LeaseState state = folder ? state_in(*folder) : LeaseState();
  const auto last = seen_.find(lease.name);  // this object's last beat
  const bool has_ended = last == seen_.end() || time >= last->second.since + ttl_in(last->second.beat);
  if (state.token != lease.token || state.released || has_ended) {
    held_.erase(held);
    return false;
  }
  beat(held->second.lock.file(), root, lease.name, ttl, time);
  return true;
}

bool LeaseBook::release(const Lease& lease) {
  const std::lock_guard lock(mutex_);
  const auto held = held_.find(lease.name);
  if (held == held_.end() || held->second.token != lease.token) return false;
  held_.erase(held);
  return true;
}

void LeaseBook::release_of_other(const Folder& root, const Lease& lease) {
  const std::string path = lease_folder(lease.name);
  const std::optional<Folder> folder = root.find(path);
  if (!folder) return;
  LeaseState state = state_in(*folder);
  if (state.token != lease.token || state.released) return;
  state.released = true;
  Change change(root);
  put_state(change, path, state);
  change.commit([] {});
}

bool LeaseBook::is_silent(const std::string& name, const std::string& beat, SteadyTime time) {
  const auto seen = seen_.find(name);
  if (seen == seen_.end() || seen->second.beat != beat) {
    seen_.insert_or_assign(name, Seen{beat, time});
    return false;
  }
  const std::chrono::seconds ttl = ttl_in(beat);
  return time - seen->second.since > ttl + std::chrono::duration_cast<std::chrono::milliseconds>(ttl) / 10;
}

void LeaseBook::beat(const Descriptor& file, const Folder& root, const std::string& name, std::chrono::seconds ttl,
                     SteadyTime time) {
  const std::string text = std::to_string(clamped(ttl).count()) + " " + make_stamp(std::nullopt).revision + "\n";
  const bool written = ::pwrite(file.number(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
                       ::ftruncate(file.number(), static_cast<off_t>(text.size())) == 0;
  if (!written) {
    throw_errno("renewing the lease \"" + name + "\"",
                "writing to " + (root.path() / lease_folder(name) / lock_file).string());
  }
  seen_.insert_or_assign(name, Seen{text, time});
}

}  // namespace culmen::storage
