#include "inspector.hpp"

#include <algorithm>
#include <cctype>
#include <iostream>
#include <optional>

#include "culmen/engine.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/records.hpp"
#include "drivers/clock.hpp"
#include "support/temporary_folder.hpp"

namespace chaos {

namespace fs = std::filesystem;
using namespace culmen;

void Inspector::now_at(std::string where, std::vector<std::string> details) {
  where_ = std::move(where);
  details_ = std::move(details);
}

void Inspector::fault(const std::string& what) {
  if (findings_.faults.size() >= most_faults) return;
  std::string whole = where_ + ": " + what;
  for (const std::string& line : details_) whole += "\n    " + line;
  std::cerr << whole << std::endl;
  findings_.faults.push_back(std::move(whole));
}

void Inspector::half(const std::string& what) {
  ++findings_.half_states;
  fault("half a state: " + what);
}

void Inspector::lost(const std::string& what) {
  ++findings_.lost_keys;
  fault("a lost key: " + what);
}

void Inspector::litter(const std::string& what) {
  ++findings_.litter;
  fault("litter: " + what);
}

template <class T>
T Inspector::drive(Flow<T> flow) {
  if (!driver_) {
    TransportOptions transport;
    transport.extra_root_file = root_;
    transport.only_extra_root = true;
    driver_ = std::make_unique<drivers::BlockingDriver>(transport, nullptr);
  }
  Execution<T> execution(std::move(flow), &drivers::instant_now);
  driver_->drive(execution);
  return execution.result();
}

void Inspector::check(bool settled, const std::vector<std::string>& ids) {
  if (!fs::exists(folder_)) return;
  check_links();
  if (settled) check_litter();
  const Values values = load();
  std::vector<PrivateKey> keys;
  for (const auto& [key, value] : values) collect_keys(key, value, keys);
  for (const std::string& id : ids) check_certificate(id, values, settled);
  check_issued(keys);
  check_account(values, settled);
}

/// What a web server sees, whatever is half done.
void Inspector::check_links() {
  const fs::path certificates = folder_ / "certificates";
  if (!fs::exists(certificates)) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(certificates)) {
    const fs::path live = entry.path() / "live";
    if (!fs::is_symlink(fs::symlink_status(live))) continue;
    try {
      const std::string chain = test::file_text(live / "fullchain.pem");
      const Certificate leaf = Certificate::from_pem(chain);
      if (!leaf.matches(PrivateKey::from_pem(test::file_text(live / "key.pem"))))
        half(live.string() + ": the key is not the certificate's");
      if (!chain.starts_with(test::file_text(live / "cert.pem"))) half(live.string() + ": cert.pem is another one");
    } catch (const Error& error) {
      half(live.string() + ": " + error.what());
    }
  }
}

void Inspector::check_litter() {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    const std::string path = fs::relative(entry.path(), folder_).string();
    const bool is_staged = path.starts_with(".staging/");
    if (name == ".journal" || name.ends_with(".tmp") || name == "pending" || is_staged) litter(path);
    if (path.starts_with("state/challenges")) litter(path);
  }
}

Inspector::Values Inspector::load() {
  const test::TemporaryFolder place;
  const fs::path copy = place / "state";
  fs::copy(folder_, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  const std::shared_ptr<Storage> storage = file_storage(copy);
  Values values;
  Result<std::vector<StoredItem>> items = drive(storage->list("", "", 1000, true));
  if (!items) {
    half(items.error().what());
    return values;
  }
  for (const StoredItem& item : *items) {
    if (item.stored.revision.none()) {
      const Result<std::optional<StoredValue>> why = drive(load_one(*storage, item.key));
      half(item.key + ": " + (why ? "" : why.error().what()));
      continue;
    }
    values[item.key] = item.stored.value;
  }
  return values;
}

void Inspector::collect_keys(const std::string& key, const std::string& value, std::vector<PrivateKey>& keys) {
  std::string pem;
  if (key.starts_with("keys/unused/")) {
    pem = value;
  } else if (key.ends_with("/pending")) {
    const Result<PendingOrder> pending = decode_pending_order(value);
    if (!pending) half(key + ": " + pending.error().what());
    if (pending) pem = pending->key_pem;
  } else if (key.starts_with("certificates/") && !key.ends_with("/record")) {
    const Result<Generation> generation = decode_generation(value);
    if (!generation) half(key + ": " + generation.error().what());
    if (generation) pem = generation->key_pem;
    if (generation && !Certificate::from_pem(generation->chain_pem).matches(PrivateKey::from_pem(pem)))
      half(key + ": the key is not the certificate's");
  }
  if (!pem.empty()) keys.push_back(PrivateKey::from_pem(pem));
}

void Inspector::check_certificate(const std::string& id, const Values& values, bool settled) {
  const auto found = values.find(certificate_record_key(id));
  if (found == values.end()) {
    if (settled) half(id + " has no record");
    return;
  }
  const Result<CertificateRecord> record = decode_certificate_record(found->second);
  if (!record) {
    half(id + ": " + record.error().what());
    return;
  }
  std::size_t generations = 0;
  for (const auto& [key, value] : values) {
    const std::string prefix = certificate_lease(id) + "/";
    generations += key.starts_with(prefix) && std::isdigit(static_cast<unsigned char>(key[prefix.size()])) ? 1 : 0;
  }
  if (settled && generations > 2) litter(id + " has " + std::to_string(generations) + " generations");
  if (record->live == 0) {
    if (settled) half(id + ": no generation counts");
    return;
  }
  const auto live = values.find(generation_key(id, record->live));
  if (live == values.end()) {
    half(id + ": generation " + std::to_string(record->live) + " counts, and does not exist");
    return;
  }
  const Result<Generation> generation = decode_generation(live->second);
  if (!generation) return;  // said already
  const Certificate leaf = Certificate::from_pem(generation->chain_pem);
  if (leaf.not_after != record->not_after) half(id + ": the record is about another certificate");
  if (leaf.identifiers.size() != record->names.size()) half(id + ": the record has other names");
}

/// The newest certificate of each kind that the CA issued has its key in storage, live or pending.
void Inspector::check_issued(const std::vector<PrivateKey>& keys) {
  const std::vector<std::string> issued = ca_.issued();
  for (; seen_ < issued.size(); ++seen_) {
    const Certificate leaf = Certificate::from_pem(issued[seen_]);
    std::string kind = std::to_string(leaf.public_key_der.size());
    for (const Identifier& name : leaf.identifiers) kind += " " + name.value;
    newest_.insert_or_assign(std::move(kind), leaf);
  }
  for (const auto& [kind, leaf] : newest_) {
    const bool is_there =
        std::ranges::any_of(keys, [&leaf = leaf](const PrivateKey& key) { return leaf.matches(key); });
    if (!is_there) lost("of the newest certificate for " + kind);
  }
}

/// One account, and storage has its key.
void Inspector::check_account(const Values& values, bool settled) {
  const std::size_t accounts = ca_.sizes().accounts;
  if (accounts > 1) fault("there are " + std::to_string(accounts) + " accounts");
  if (accounts == 0) return;
  const auto found = values.find(account_key_of(ca_.directory_url()));
  if (found == values.end()) {
    lost("the account has no record");
    return;
  }
  const Result<AccountRecord> record = decode_account(found->second);
  if (!record) {
    half("the account's record: " + record.error().detail());
    return;
  }
  if (settled && (record->url.empty() || !record->next_key_pem.empty())) half("the account's record is not complete");
  Result<engine::Session> session = drive(engine::connect(ca_.directory_url()));
  if (!session) throw session.error();
  for (const std::string& pem : {record->key_pem, record->next_key_pem}) {
    if (pem.empty()) continue;
    const Result<Account> account = drive(engine::find_account(*session, AccountKey::from_pem(pem)));
    if (account) return;
    if (account.error().code() != Errc::account_does_not_exist) throw account.error();
  }
  lost("the CA knows neither key of the account's record");
}

}  // namespace chaos
