#include "storage/file_listing.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "culmen/error.hpp"
#include "culmen/storage_engine.hpp"
#include "storage/file_layout.hpp"

namespace culmen::storage {

namespace {

/// What says nothing about one file.
bool is_of_the_process(const std::error_code& code) {
  return code == std::errc::too_many_files_open || code == std::errc::too_many_files_open_in_system ||
         code == std::errc::not_enough_memory;
}

/// The names in a folder, of folders alone if asked for; long ones put together again.
std::vector<std::string> long_names(const Folder& folder, bool folders_only) {
  std::vector<std::string> all;
  for (std::string& name : folder.names()) {
    if (is_continued(name)) {
      const std::optional<Folder> next = folder.find(name);
      if (!next) continue;
      name.pop_back();
      for (const std::string& rest : long_names(*next, folders_only)) all.push_back(name + rest);
      continue;
    }
    const std::optional<struct stat> status = folders_only ? folder.status(name) : std::nullopt;
    if (!folders_only || (status && (S_ISDIR(status->st_mode) || S_ISLNK(status->st_mode))))
      all.push_back(std::move(name));
  }
  return all;
}

std::vector<std::string> long_names(const Folder& root, const std::string& path, bool folders_only) {
  const std::optional<Folder> folder = root.find(path);
  return folder ? long_names(*folder, folders_only) : std::vector<std::string>();
}

/// The first keys after `after`, in order. They may turn out to have no value.
class KeySearch {
 public:
  KeySearch(std::string prefix, std::string after, std::size_t count)
      : prefix_(std::move(prefix)), after_(std::move(after)), count_(count) {}

  std::vector<std::string> run(const Folder& root) {
    if (may_have("accounts/")) {
      for (const std::string& name : long_names(root, "accounts", true)) {
        if (const auto part = account_part(name)) offer("accounts/" + *part + "/account");
      }
    }
    if (may_have("certificates/")) search_certificates(root);
    if (may_have("keys/unused/")) {
      for (const std::string& name : long_names(root, "keys/unused", false)) offer("keys/unused/" + name);
    }
    for (const std::string& name : long_names(root, "state", false)) {
      if (const auto key = other_key(name)) offer(*key);
    }
    return {found_.begin(), found_.end()};
  }

 private:
  bool may_have(std::string_view begin) const { return prefix_.starts_with(begin) || begin.starts_with(prefix_); }
  void offer(std::string key) {
    if (!key.starts_with(prefix_) || key <= after_) return;
    if (found_.size() == count_ && key > *found_.rbegin()) return;
    if (!check_key(key)) return;  // a file that is not culmen's
    found_.insert(std::move(key));
    if (found_.size() > count_) found_.erase(std::prev(found_.end()));
  }
  void search_certificates(const Folder& root) {
    std::vector<std::pair<std::string, std::string>> folders;  // the beginning of the keys, and the folder
    for (std::string& name : long_names(root, "certificates", true)) {
      const auto part = certificate_part(name);
      if (!part) continue;
      std::string begin = "certificates/" + *part + "/";
      if (may_have(begin) && begin + "~" > after_) folders.emplace_back(std::move(begin), std::move(name));
    }
    std::sort(folders.begin(), folders.end());
    for (const auto& [begin, name] : folders) {
      if (found_.size() == count_ && begin > *found_.rbegin()) return;
      try {
        search_certificate(root, begin, "certificates/" + split_name(name));
      } catch (const Error& error) {
        if (is_of_the_process(error.system_code())) throw;
        offer(begin + "record");  // its folder cannot be read: load() says why
      }
    }
  }
  void search_certificate(const Folder& root, const std::string& begin, const std::string& path) {
    const std::optional<Folder> folder = root.find(path);
    if (!folder) return;
    bool has_record = false;
    for (const std::string& entry : folder->names()) {
      has_record = has_record || entry == "record.json" || entry == live_link;
      if (entry == "pending" || generation_number(entry)) offer(begin + entry);
    }
    if (has_record) offer(begin + "record");
  }

  std::string prefix_, after_;
  std::size_t count_;
  std::set<std::string> found_;
};

}  // namespace

Page page_of(FileStore& store, const Folder& root, const std::string& prefix, const std::string& after,
             std::size_t count, bool with_values, std::chrono::system_clock::time_point time) {
  Page page;
  const std::vector<std::string> keys = KeySearch(prefix, after, count).run(root);
  page.is_end = keys.size() < count;
  if (!keys.empty()) page.last = keys.back();
  for (const std::string& key : keys) {
    StoredValue stored;
    try {
      std::optional<FileValue> found = value_at(store, root, key, time);
      if (!found) continue;
      stored = std::move(found->stored);
    } catch (const Error& error) {
      if (error.code() != Errc::io_failed || is_of_the_process(error.system_code())) throw;
      // One that is damaged must not hide the others: it is listed without a revision, and load() says why.
    }
    if (!with_values) stored.value.clear();
    page.items.emplace_back(key, std::move(stored));
  }
  return page;
}

}  // namespace culmen::storage
