#include "culmen/key_file_accounts.hpp"

#include <functional>
#include <system_error>
#include <utility>

#include "culmen/atomic_file.hpp"
#include "culmen/private_key.hpp"
#include "culmen/records.hpp"

namespace culmen {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view unused_keys = "keys/unused/";

bool is_account(std::string_view key) { return key.starts_with("accounts/") && key.ends_with("/account"); }

std::string_view host_in(std::string_view text) {
  if (const auto scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  return text.substr(0, text.find_first_of("/_"));
}

/// Of the CA that the key of an account names: "host" or "host:port".
std::string host_of_key(std::string_view key) {
  key.remove_prefix(std::string_view("accounts/").size());
  key.remove_suffix(std::string_view("/account").size());
  std::string server = storage_part_text(key).value_or("");
  // As server_part() writes a port.
  if (const auto colon = server.find("%3A"); colon != std::string::npos) server.replace(colon, 3, ":");
  return std::string(host_in(server));
}

/// The files. All functions block, and throw Error.
class KeyFile {
 public:
  explicit KeyFile(fs::path key_file) : key_file_(std::move(key_file)) {}

  /// `key`: that of an account.
  std::optional<StoredValue> read(const std::string& key) const {
    const std::optional<std::string> pem = read_file(key_file_);
    if (!pem) return std::nullopt;
    try {
      (void)PrivateKey::from_pem(*pem);
    } catch (const Error& error) {
      throw error.while_doing("reading the account key " + key_file_.string());
    }
    AccountRecord record;
    record.key_pem = *pem;
    if (const auto next = read_file(beside(".new"))) record.next_key_pem = *next;
    if (const auto url = read_file(beside(".account-url"))) {
      const std::string line = url->substr(0, url->find_first_of("\r\n"));
      if (host_in(line) == host_of_key(key)) record.url = line;
    }
    std::string value = encode(record);
    Revision revision = revision_of(value);
    return StoredValue(std::move(value), std::move(revision));
  }

  Revision put(const Write& change) const {
    if (!is_account(change.key)) return set_aside(change);
    const std::optional<StoredValue> before = read(change.key);
    if (change.expected && *change.expected != (before ? before->revision : Revision()))
      throw Error(Errc::conflict, "writing " + key_file_.string(), "another program has changed it meanwhile");
    if (!change.value)
      throw Error(Errc::invalid_argument, "removing " + key_file_.string(), "key files are not removed");
    const Result<AccountRecord> record = decode_account(*change.value);
    if (!record) throw record.error();
    remove_unfinished_files(key_file_.parent_path().empty() ? "." : key_file_.parent_path(), std::chrono::seconds(0));
    // What is new comes first, so that there is no moment without the key that counts.
    if (!record->next_key_pem.empty()) write_file_atomically(beside(".new"), record->next_key_pem, 0600);
    if (read_file(key_file_) != record->key_pem) write_file_atomically(key_file_, record->key_pem, 0600);
    if (!record->url.empty()) write_file_atomically(beside(".account-url"), record->url + "\n", 0600);
    std::error_code failed;
    if (record->next_key_pem.empty()) fs::remove(beside(".new"), failed);
    if (failed) throw Error(Errc::io_failed, "removing " + beside(".new").string(), failed.message());
    const std::optional<StoredValue> after = read(change.key);
    return after ? after->revision : Revision();
  }

 private:
  fs::path beside(const std::string& suffix) const { return key_file_.string() + suffix; }

  static Revision revision_of(const std::string& value) {
    return Revision("file-" + std::to_string(std::hash<std::string>()(value)));
  }

  Revision set_aside(const Write& change) const {
    const std::string value = change.value.value_or("");
    write_file_atomically(beside(".unused-" + change.key.substr(unused_keys.size())), value, 0600);
    return revision_of(value);
  }

  fs::path key_file_;
};

class KeyFileAccounts final : public Storage {
 public:
  KeyFileAccounts(std::shared_ptr<Storage> storage, fs::path key_file)
      : storage_(std::move(storage)), file_(std::move(key_file)) {}

  StorageCapabilities capabilities() const noexcept override { return storage_->capabilities(); }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    std::vector<std::string> others, accounts;
    for (const std::string& key : keys) (is_account(key) ? accounts : others).push_back(key);
    std::vector<std::optional<StoredValue>> found;
    if (!others.empty()) {
      Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage_->load(std::move(others));
      if (!loaded) co_return loaded.error();
      found = std::move(*loaded);
    }
    const auto read = std::make_shared<std::vector<std::optional<StoredValue>>>();
    const std::function<Result<void>()> reading = [file = file_, accounts, read] {
      for (const std::string& key : accounts) read->push_back(file.read(key));
      return Result<void>();
    };
    if (accounts.empty()) co_return found;
    Result<void> done = co_await call_storing(reading);
    if (!done) co_return done.error();
    for (std::size_t i = 0, next = 0; i < keys.size(); ++i) {
      if (is_account(keys[i])) found.insert(found.begin() + static_cast<std::ptrdiff_t>(i), std::move((*read)[next++]));
    }
    co_return found;
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    return storage_->list(std::move(prefix), std::move(after), limit, with_values);
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    if (writes.size() != 1 || (!is_account(writes[0].key) && !writes[0].key.starts_with(unused_keys)))
      co_return co_await storage_->write(std::move(writes));
    const auto written = std::make_shared<Revision>();
    const std::function<Result<void>()> writing = [file = file_, change = std::move(writes[0]), written] {
      *written = file.put(change);
      return Result<void>();
    };
    Result<void> done = co_await call_storing(writing);
    if (!done) co_return done.error();
    co_return std::vector<Revision>(1, *written);
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    return storage_->acquire(std::move(name), std::move(owner), ttl);
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    return storage_->renew(std::move(leases), ttl);
  }
  Flow<Result<void>> release(Lease lease) override { return storage_->release(std::move(lease)); }
  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    return storage_->changed(std::move(prefix), std::move(cursor), patience);
  }

 private:
  std::shared_ptr<Storage> storage_;
  KeyFile file_;
};

}  // namespace

std::shared_ptr<Storage> with_key_file_account(std::shared_ptr<Storage> storage, fs::path key_file) {
  return std::make_shared<KeyFileAccounts>(std::move(storage), std::move(key_file));
}

}  // namespace culmen
