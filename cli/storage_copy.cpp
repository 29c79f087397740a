#include "storage_copy.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "command.hpp"
#include "culmen/error.hpp"
#include "json_object.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

constexpr std::size_t keys_at_once = 1000;

/// Neither leases, nor what expires, nor tests of a storage.
bool is_copied(const std::string& key) {
  return !key.starts_with("leases/") && !key.starts_with("challenges/") && !key.starts_with("scratch/");
}

std::vector<std::string> keys_in(const blocking::Storage& storage) {
  std::vector<std::string> keys;
  std::string after;
  for (bool more = true; more;) {
    const std::vector<StoredItem> items = storage.list("", after, keys_at_once);
    for (const StoredItem& item : items) {
      if (is_copied(item.key)) keys.push_back(item.key);
    }
    more = items.size() == keys_at_once;
    if (more) after = items.back().key;
  }
  return keys;
}

/// What is written together: all of an account or a certificate.
std::string unit_of(const std::string& key) {
  if (!key.starts_with("accounts/") && !key.starts_with("certificates/")) return key;
  return key.substr(0, key.find('/', key.find('/') + 1));
}

std::string kind_of(const std::string& key) {
  if (key.starts_with("accounts/")) return "accounts";
  if (key.starts_with("keys/")) return "unused keys";
  if (!key.starts_with("certificates/")) return "other values";
  if (key.ends_with("/record")) return "certificates";
  return key.ends_with("/pending") ? "orders in progress" : "generations";
}

/// Engines that keep records in files of their own return one that says the same, not always with the same octets.
bool says_the_same(const std::string& one, const std::string& other) {
  if (one == other) return true;
  const std::optional<JsonObject> first = JsonObject::parse(one), second = JsonObject::parse(other);
  return first && second && first->includes(*second) && second->includes(*first);
}

class StorageCopy {
 public:
  StorageCopy(const blocking::Storage& from, const blocking::Storage& to,
              const std::map<std::string, std::string>& damaged, Output& output)
      : from_(from), to_(to), damaged_(damaged), output_(output) {}
  CopyResult run();

 private:
  using Values = std::vector<std::optional<StoredValue>>;
  std::vector<std::vector<std::string>> units(const std::vector<std::string>& keys) const;
  void check_target(const std::set<std::string>& keys);
  void compare_there(const std::vector<std::string>& keys);
  void copy_unit(const std::vector<std::string>& keys);

  const blocking::Storage& from_;
  const blocking::Storage& to_;
  const std::map<std::string, std::string>& damaged_;
  Output& output_;
  CopyResult result_;
};

CopyResult StorageCopy::run() {
  const std::vector<std::string> keys = keys_in(from_);
  check_target(std::set<std::string>(keys.begin(), keys.end()));
  std::size_t done = 0;
  for (const std::vector<std::string>& unit : units(keys)) {
    output_.progress("copy", "copying", std::to_string(done) + " of " + std::to_string(keys.size()) + " values");
    const auto damaged = damaged_.find(unit_of(unit.front()));
    if (damaged == damaged_.end()) {
      copy_unit(unit);
    } else {
      result_.refused.push_back(damaged->first + ": " + printable(damaged->second, 2000));
    }
    done += unit.size();
  }
  output_.progress_ended("copy");
  return std::move(result_);
}

std::vector<std::vector<std::string>> StorageCopy::units(const std::vector<std::string>& keys) const {
  std::vector<std::vector<std::string>> found;
  for (const std::string& key : keys) {
    if (found.empty() || unit_of(found.back().front()) != unit_of(key)) found.emplace_back();
    found.back().push_back(key);
  }
  return found;
}

[[noreturn]] void refuse_target(const std::string& what) {
  throw Failure(
      exit_failed, "conflict", "nothing was copied: " + what,
      "The target has to be empty, or an unfinished copy of the same storage. Empty it, or name another one.");
}

/// Before anything is written.
void StorageCopy::check_target(const std::set<std::string>& keys) {
  std::vector<std::string> both;
  for (const std::string& key : keys_in(to_)) {
    if (!keys.contains(key)) refuse_target("the target has " + key + ", which the source does not have");
    both.push_back(key);
  }
  for (const std::vector<std::string>& unit : units(both)) compare_there(unit);
}

void StorageCopy::compare_there(const std::vector<std::string>& keys) {
  const Values source = from_.load(keys), target = to_.load(keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!source[i] || !target[i] || !says_the_same(source[i]->value, target[i]->value))
      refuse_target("the target has another " + keys[i] + " than the source");
  }
  result_.there_before += keys.size();
}

void StorageCopy::copy_unit(const std::vector<std::string>& keys) {
  Values source;
  try {
    source = from_.load(keys);
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled || is_worth_retrying(error)) throw;
    result_.refused.push_back(unit_of(keys.front()) + ": " + printable(error.what(), 2000));
    return;
  }
  const Values there = to_.load(keys);
  std::vector<Write> writes;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!source[i] || there[i]) continue;
    writes.emplace_back(keys[i], source[i]->value);
    writes.back().expected = Revision();
  }
  if (!writes.empty()) (void)to_.write(std::move(writes));
  const Values copied = to_.load(keys), again = from_.load(keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool same = source[i] && copied[i] && again[i] && says_the_same(source[i]->value, copied[i]->value) &&
                      source[i]->revision == again[i]->revision;
    if (!same) {
      throw Failure(exit_failed, "conflict", keys[i] + " changed while it was copied",
                    "Stop every culmen that uses one of the two storages, empty the target, and copy again.");
    }
    ++result_.verified[kind_of(keys[i])];
  }
}

}  // namespace

CopyResult copy_storage(const blocking::Storage& from, const blocking::Storage& to,
                        const std::map<std::string, std::string>& damaged, Output& output) {
  return StorageCopy(from, to, damaged, output).run();
}

}  // namespace culmen::cli
