#include "culmen/stored_certificates.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/time.hpp"
#include "culmen/certificate.hpp"
#include "culmen/engine.hpp"
#include "culmen/private_key.hpp"
#include "culmen/stored_accounts.hpp"
#include "manager/account_steps.hpp"
#include "manager/leases.hpp"

namespace culmen {

namespace {
using manager::Hold;
using manager::is_same_key;
using manager::Leases;
using manager::Store;

constexpr std::string_view all_certificates = "certificates/";
constexpr int lost_lease_tries = 3;
constexpr int conflict_tries = 3;
constexpr int key_compromise = 1;  // RFC 5280 §5.3.1

std::string prefix_of(const std::string& id) { return certificate_lease(id) + "/"; }

/// Whose value is below "certificates/<part>/": nullopt if that is not an id.
std::optional<std::string> id_of_key(std::string_view key) {
  if (!key.starts_with(all_certificates)) return std::nullopt;
  key.remove_prefix(all_certificates.size());
  const std::size_t end = key.find('/');
  if (end == std::string_view::npos) return std::nullopt;
  return storage_part_text(key.substr(0, end));
}

bool is_generation_key(std::string_view key) {
  key.remove_prefix(key.rfind('/') + 1);
  return !key.empty() && key.find_first_not_of("0123456789") == std::string_view::npos;
}

Error no_such_certificate(const std::string& doing, const std::string& id) {
  return Error(Errc::not_found, doing, "there is no certificate \"" + printable(id, 200) + "\" in storage");
}

// ---- Reading ----

/// What is stored below one certificate, by key.
struct Parts {
  Parts() = default;
  std::map<std::string, StoredValue> values;
  std::map<std::string, std::string> unreadable;  ///< Why, by key.

  bool empty() const { return values.empty() && unreadable.empty(); }
  const std::string* value(const std::string& key) const {
    const auto found = values.find(key);
    return found == values.end() ? nullptr : &found->second.value;
  }
};
using PartsById = std::map<std::string, Parts>;

/// Adds an item of a list. What is damaged is listed without a revision: why, load() says.
Flow<Result<void>> add_item(Store& store, StoredItem item, PartsById& all) {
  const std::optional<std::string> id = id_of_key(item.key);
  if (!id) co_return Result<void>();  // not culmen's
  if (item.stored.revision.none()) {
    Result<std::optional<StoredValue>> loaded = co_await manager::load_one_of(store, item.key);
    if (!loaded && loaded.error().code() == Errc::cancelled) co_return loaded.error();
    if (!loaded) {
      all[*id].unreadable.emplace(item.key, loaded.error().what());
      co_return Result<void>();
    }
    if (!*loaded) co_return Result<void>();  // removed meanwhile
    item.stored = std::move(**loaded);
  }
  all[*id].values.emplace(std::move(item.key), std::move(item.stored));
  co_return Result<void>();
}

Flow<Result<PartsById>> read_parts(Store& store, std::string prefix) {
  Result<std::vector<StoredItem>> items = co_await manager::list_all(store, std::move(prefix), true);
  if (!items) co_return items.error();
  PartsById all;
  for (StoredItem& item : *items) {
    Result<void> added = co_await add_item(store, std::move(item), all);
    if (!added) co_return added.error();
  }
  co_return all;
}

Flow<Result<Parts>> read_one(Store& store, std::string id) {
  Result<PartsById> all = co_await read_parts(store, prefix_of(id));
  if (!all) co_return all.error();
  co_return std::move((*all)[id]);
}

/// Why the generation is of no use; empty: nothing is wrong with it.
std::string fault_of_generation(const Generation& generation) {
  const Result<Certificate> leaf = result_of([&] { return read_chain(generation.chain_pem).front(); });
  if (!leaf) return "its chain (fullchain.pem) cannot be read: " + leaf.error().detail();
  if (generation.key_pem.empty()) return {};  // the key is not culmen's
  const Result<PrivateKey> key = result_of([&] { return PrivateKey::from_pem(generation.key_pem); });
  if (!key) return "its private key (key.pem) cannot be read: " + key.error().detail();
  const Result<bool> fits = result_of([&] { return leaf->matches(*key); });
  return fits && *fits ? std::string() : "its private key is not that of the certificate";
}

StoredCertificate assembled(const std::string& id, const Parts& parts) {
  StoredCertificate certificate;
  certificate.id = id;
  std::vector<std::string>& damage = certificate.damage;
  for (const auto& [key, why] : parts.unreadable) damage.push_back(key + ": " + why);
  const std::string record_key = certificate_record_key(id), pending_key = pending_order_key(id);
  if (const std::string* const value = parts.value(record_key)) {
    Result<CertificateRecord> record = decode_certificate_record(*value);
    if (record) certificate.record = std::move(*record);
    if (!record) damage.push_back(record_key + ": " + record.error().detail());
  }
  if (const std::string* const value = parts.value(pending_key)) {
    Result<PendingOrder> pending = decode_pending_order(*value);
    if (!pending) {
      damage.push_back(pending_key + ": " + pending.error().detail());
    } else {
      if (!pending->key_pem.empty() && !result_of([&] { return PrivateKey::from_pem(pending->key_pem); }))
        damage.push_back(pending_key + ": its private key cannot be read");
      certificate.pending = std::move(*pending);
    }
  }
  const std::uint64_t live = certificate.record.live;
  const std::string live_key = live > 0 ? generation_key(id, live) : std::string();
  bool has_generation = false;
  for (const auto& [key, stored] : parts.values) {
    if (!is_generation_key(key)) continue;
    has_generation = true;
    Result<Generation> generation = decode_generation(stored.value);
    const std::string fault = generation ? fault_of_generation(*generation) : generation.error().detail();
    if (!fault.empty()) damage.push_back(key + ": " + fault);
    if (fault.empty() && key == live_key) certificate.live = std::move(*generation);
  }
  if (live > 0 && !parts.value(live_key) && !parts.unreadable.contains(live_key))
    damage.push_back(live_key + ": it is missing, and the record names it");
  if (has_generation && !parts.value(record_key) && !parts.unreadable.contains(record_key))
    damage.push_back(record_key + ": it is missing; a program was stopped while it changed the certificate");
  return certificate;
}

Flow<Result<std::vector<StoredCertificate>>> list_in(std::shared_ptr<Storage> storage, std::string prefix) {
  Store store(std::move(storage), manager::no_reporter(), "reader", std::chrono::seconds(60));
  Result<PartsById> all = co_await read_parts(store, prefix);
  if (!all) co_return all.error();
  std::vector<StoredCertificate> certificates;
  for (const auto& [id, parts] : *all) {
    StoredCertificate certificate = assembled(id, parts);
    if (!certificate.damage.empty() && prefix == all_certificates) {
      // A list is read in several steps: somebody may have renewed it meanwhile.
      Result<Parts> again = co_await read_one(store, id);
      if (!again) co_return again.error();
      if (again->empty()) continue;
      certificate = assembled(id, *again);
    }
    certificates.push_back(std::move(certificate));
  }
  co_return certificates;
}

// ---- Changing ----

/// The record of a certificate, to be written again.
struct RecordRead {
  RecordRead() = default;
  CertificateRecord record;
  Revision revision;
};

Flow<Result<std::optional<RecordRead>>> load_record(Store& store, std::string id) {
  const std::string key = certificate_record_key(id);
  Result<std::optional<StoredValue>> stored = co_await manager::load_one_of(store, key);
  if (!stored) co_return stored.error();
  if (!*stored) co_return std::optional<RecordRead>();
  Result<CertificateRecord> record = decode_certificate_record((*stored)->value);
  if (!record) co_return record.error().while_doing("reading " + key);
  RecordRead read;
  read.record = std::move(*record);
  read.revision = (*stored)->revision;
  co_return std::optional<RecordRead>(std::move(read));
}

using RecordChange = std::function<Result<void>(CertificateRecord&)>;

/// Changes the record, and makes the other writes with it. Renewal information is written without a lease: then the
/// change is made again.
Flow<Result<CertificateRecord>> rewrite_record(Store& store, std::shared_ptr<Hold> hold, std::string id,
                                               RecordChange change, std::vector<Write> others) {
  const std::string doing = "changing the certificate " + printable(id, 200);
  for (int tries = 1;; ++tries) {
    Result<std::optional<RecordRead>> read = co_await load_record(store, id);
    if (!read) co_return read.error().while_doing(doing);
    if (!*read) co_return no_such_certificate(doing, id);
    CertificateRecord record = (*read)->record;
    Result<void> changed = guarded_call([&] { return change(record); }, doing);
    if (!changed) co_return changed.error();
    Result<std::string> value = result_of([&] { return encode(record); });
    if (!value) co_return value.error().while_doing(doing);
    Write write(certificate_record_key(id), std::move(*value));
    write.expected = (*read)->revision;
    std::vector<Write> writes;
    writes.push_back(std::move(write));
    writes.insert(writes.end(), others.begin(), others.end());
    Result<std::vector<Revision>> written = co_await store.write(std::move(writes), hold);
    if (written) co_return record;
    if (written.error().code() != Errc::conflict || tries == conflict_tries) co_return written.error();
  }
}

Flow<Result<CertificateRecord>> change_under_lease(Leases& leases, std::string id, RecordChange change) {
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(certificate_lease(id));
  if (!hold) co_return hold.error();
  std::vector<Write> no_others;
  co_return co_await rewrite_record(leases.store(), *hold, id, std::move(change), std::move(no_others));
}

/// The certificate must exist before its lease is taken: a lease leaves a trace.
Flow<Result<void>> require_certificate(std::shared_ptr<Storage> storage, std::string id, std::string doing) {
  Store store(std::move(storage), manager::no_reporter(), "reader", std::chrono::seconds(60));
  Result<std::vector<StoredItem>> items = co_await store.list(prefix_of(id), std::string(), false);
  if (!items) co_return items.error().while_doing(doing);
  if (items->empty()) co_return no_such_certificate(doing, id);
  co_return Result<void>();
}

// ---- Import ----

Result<void> describe(CertificateRecord& record, Generation& generation, const std::string& id) {
  return result_of([&] {
    const std::vector<Certificate> chain = read_chain(generation.chain_pem);
    const Certificate& leaf = chain.front();
    const PrivateKey key = PrivateKey::from_pem(generation.key_pem);
    if (!leaf.matches(key)) throw Error(Errc::crypto_failed, "", "the private key is not that of the certificate");
    generation.key_pem = key.to_pem();
    record.names.clear();
    for (const Identifier& identifier : leaf.identifiers) record.names.push_back(identifier.value);
    record.key_type = key.type();
    record.not_before = leaf.not_before;
    record.not_after = leaf.not_after;
    const Result<std::string> certificate = result_of([&] { return certificate_id(leaf); });
    record.certificate_id = certificate ? *certificate : std::string();
    if (record.spec) {
      const std::vector<std::string> ids = certificate_ids(*record.spec);
      if (std::ranges::find(ids, id) == ids.end()) record.spec->id = id;
    }
    record.live = record.last_generation = 1;
  });
}

Result<void> check_new_id(const std::string& id) {
  CertificateSpec probe(std::vector<std::string>{"a.example"});
  probe.id = id;
  if (id.empty()) return Error(Errc::invalid_argument, "checking the id of a certificate", "it is empty");
  return check_spec(probe);
}

Flow<Result<void>> import_under_lease(Leases& leases, std::string id, CertificateRecord record, Generation generation) {
  const std::string doing = "importing the certificate " + printable(id, 200);
  Store& store = leases.store();
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(certificate_lease(id));
  if (!hold) co_return hold.error();
  Result<Parts> parts = co_await read_one(store, id);
  if (!parts) co_return parts.error().while_doing(doing);
  const std::string first_key = generation_key(id, 1), record_key = certificate_record_key(id);
  const std::string* const first = parts->value(first_key);
  if (!parts->empty()) {
    const Result<Generation> there = first ? decode_generation(*first) : Result<Generation>(Generation());
    const bool is_this =
        first && there && there->key_pem == generation.key_pem && there->chain_pem == generation.chain_pem;
    const bool is_alone = parts->values.size() == 1 && parts->unreadable.empty();
    const StoredCertificate present = assembled(id, *parts);
    if (is_this && present.record.live == 1) co_return Result<void>();  // the answer was lost
    if (!is_this || !is_alone) {
      co_return Error(Errc::conflict, doing,
                      "there is a certificate with that id; remove or rename it, or choose another id");
    }
  }
  Result<std::string> value = result_of([&] { return encode(generation); });
  if (!value) co_return value.error().while_doing(doing);
  Result<std::string> record_value = result_of([&] { return encode(record); });
  if (!record_value) co_return record_value.error().while_doing(doing);
  std::vector<Write> writes;
  writes.emplace_back(first_key, std::move(*value));
  if (!first) writes.back().expected = Revision();
  writes.emplace_back(record_key, std::move(*record_value));
  writes.back().expected = Revision();
  Result<std::vector<Revision>> written = co_await store.write(std::move(writes), *hold);
  if (!written) co_return written.error().while_doing(doing);
  co_return Result<void>();
}

// ---- Removal ----

/// The private keys in what is stored below a certificate; what is damaged and may hold one counts, too.
std::vector<std::string> keys_in(const Parts& parts) {
  std::vector<std::string> keys;
  for (const auto& [key, stored] : parts.values) {
    std::string pem;
    if (is_generation_key(key)) {
      const Result<Generation> generation = decode_generation(stored.value);
      pem = generation ? generation->key_pem : stored.value;
    } else if (key.ends_with("/pending")) {
      const Result<PendingOrder> pending = decode_pending_order(stored.value);
      pem = pending ? pending->key_pem : stored.value;
    }
    if (!pem.empty() && std::ranges::find(keys, pem) == keys.end()) keys.push_back(std::move(pem));
  }
  return keys;
}

/// Removes everything below the certificate. Its keys have to be elsewhere.
Flow<Result<void>> remove_parts(Store& store, std::shared_ptr<Hold> hold, std::string id, const Parts& parts) {
  // The record first: without it nothing counts. Pending last. Both in any case: an engine may hide litter there.
  const std::string record_key = certificate_record_key(id), pending_key = pending_order_key(id);
  std::set<std::string> keys;
  for (const auto& [key, stored] : parts.values) keys.insert(key);
  for (const auto& [key, why] : parts.unreadable) keys.insert(key);
  keys.erase(record_key);
  keys.erase(pending_key);
  std::vector<Write> writes;
  writes.emplace_back(record_key);
  for (const std::string& key : keys) writes.emplace_back(key);
  writes.emplace_back(pending_key);
  Result<std::vector<Revision>> removed = co_await store.write(std::move(writes), std::move(hold));
  if (!removed) co_return removed.error();
  co_return Result<void>();
}

Flow<Result<std::set<std::string>>> all_unused_keys(Store& store) {
  Result<std::vector<StoredItem>> items = co_await manager::list_all(store, "keys/unused/", false);
  if (!items) co_return items.error();
  std::set<std::string> keys;
  for (const StoredItem& item : *items) keys.insert(item.key);
  co_return keys;
}

Flow<Result<std::vector<std::string>>> remove_under_lease(Leases& leases, std::string id) {
  const std::string doing = "removing the certificate " + printable(id, 200);
  Store& store = leases.store();
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(certificate_lease(id));
  if (!hold) co_return hold.error();
  Result<Parts> parts = co_await read_one(store, id);
  if (!parts) co_return parts.error().while_doing(doing);
  if (parts->empty()) co_return no_such_certificate(doing, id);
  std::vector<std::string> kept;
  for (const std::string& pem : keys_in(*parts)) {
    Result<std::string> key = co_await manager::keep_unused_key(store, pem);
    if (!key) co_return key.error().while_doing(doing);
    kept.push_back(std::move(*key));
  }
  // Where values are files, the engine keeps the keys of those that cannot be read.
  const bool is_typed = store.storage().capabilities().typed;
  std::set<std::string> before;
  if (is_typed) {
    Result<std::set<std::string>> there = co_await all_unused_keys(store);
    if (!there) co_return there.error().while_doing(doing);
    before = std::move(*there);
  }
  Result<void> removed = co_await remove_parts(store, *hold, id, *parts);
  if (!removed) co_return removed.error().while_doing(doing);
  if (is_typed) {
    Result<std::set<std::string>> there = co_await all_unused_keys(store);
    if (!there) co_return there.error().while_doing(doing);
    std::ranges::set_difference(*there, before, std::back_inserter(kept));
  }
  co_return kept;
}

// ---- Renaming ----

/// The spec of a certificate that gets another id.
void rename_spec(CertificateSpec& spec, const std::string& from, const std::string& to) {
  const std::vector<std::string> ids = certificate_ids(spec);
  if (ids.front() != from && std::ranges::find(ids, from) != ids.end()) {  // that of a further key type
    const std::string ending = from.substr(std::min(from.size(), ids.front().size()));
    if (!ending.empty() && to.ends_with(ending) && to.size() > ending.size()) {
      spec.id = to.substr(0, to.size() - ending.size());
      return;
    }
    const auto place = std::ranges::find(ids, from) - ids.begin();
    const std::string type = spec.key_types[static_cast<std::size_t>(place)];
    spec.key_types.assign(1, type);
  }
  spec.id = to;
}

/// Whether two values of a certificate say the same, whatever the engine made of their texts.
bool says_the_same(const std::string& key, const std::string& one, const std::string& other) {
  if (one == other) return true;
  if (is_generation_key(key)) {
    const Result<Generation> a = decode_generation(one), b = decode_generation(other);
    return a && b && a->key_pem == b->key_pem && a->chain_pem == b->chain_pem;
  }
  if (key.ends_with("/pending")) {
    const Result<PendingOrder> a = decode_pending_order(one), b = decode_pending_order(other);
    return a && b && a->order_url == b->order_url && a->key_pem == b->key_pem;
  }
  const Result<CertificateRecord> a = decode_certificate_record(one), b = decode_certificate_record(other);
  return a && b && a->live == b->live && a->certificate_id == b->certificate_id;
}

/// Whether all that is stored under `id` is also stored under `other_id`.
bool is_part_of(const Parts& parts, const std::string& id, const Parts& other, const std::string& other_id) {
  if (!parts.unreadable.empty()) return false;
  return std::ranges::all_of(parts.values, [&](const auto& each) {
    const std::string* const value = other.value(prefix_of(other_id) + each.first.substr(prefix_of(id).size()));
    return value && says_the_same(each.first, each.second.value, *value);
  });
}

Flow<Result<void>> rename_under_leases(Leases& leases, std::string from, std::string to) {
  const std::string doing = "renaming the certificate " + printable(from, 200) + " to " + printable(to, 200);
  Store& store = leases.store();
  // In one order everywhere: two calls never wait for each other.
  Result<std::shared_ptr<Hold>> first = co_await leases.take(certificate_lease(std::min(from, to)));
  if (!first) co_return first.error().while_doing(doing);
  Result<std::shared_ptr<Hold>> second = co_await leases.take(certificate_lease(std::max(from, to)));
  if (!second) co_return second.error().while_doing(doing);
  const bool is_in_order = from < to;
  const std::shared_ptr<Hold> old_hold = is_in_order ? *first : *second, new_hold = is_in_order ? *second : *first;
  Result<Parts> parts = co_await read_one(store, from);
  if (!parts) co_return parts.error().while_doing(doing);
  Result<Parts> copy = co_await read_one(store, to);
  if (!copy) co_return copy.error().while_doing(doing);
  if (parts->empty()) co_return no_such_certificate(doing, from);
  if (!parts->unreadable.empty()) {
    const auto& [key, why] = *parts->unreadable.begin();
    co_return Error(Errc::io_failed, doing, key + " is damaged: " + why);
  }
  // An earlier call may have copied a part, or have removed a part of the original, whose record goes first.
  const bool is_begun = is_part_of(*copy, to, *parts, from);
  const bool is_almost_done = !parts->value(certificate_record_key(from)) && is_part_of(*parts, from, *copy, to);
  if (!is_begun && !is_almost_done)
    co_return Error(Errc::conflict, doing, "there is a certificate with the new id; remove it, or choose another id");

  std::vector<Write> writes;
  std::optional<Write> record_write;
  for (const auto& [key, stored] : parts->values) {
    const std::string new_key = prefix_of(to) + key.substr(prefix_of(from).size());
    Write write(new_key, stored.value);
    if (key == certificate_record_key(from)) {
      Result<CertificateRecord> record = decode_certificate_record(stored.value);
      if (!record) co_return record.error().while_doing(doing);
      if (record->spec) rename_spec(*record->spec, from, to);
      write.value = encode(*record);
      record_write = std::move(write);
    } else {
      writes.push_back(std::move(write));
    }
  }
  if (record_write) writes.push_back(std::move(*record_write));  // it names a generation
  Result<std::vector<Revision>> written = co_await store.write(std::move(writes), new_hold);
  if (!written) co_return written.error().while_doing(doing);
  Result<void> removed = co_await remove_parts(store, old_hold, from, *parts);
  if (!removed) co_return removed.error().while_doing(doing);
  co_return Result<void>();
}

// ---- Revocation ----

Flow<Result<Revocation>> revoke_under_leases(Leases& leases, engine::Session session, std::string id,
                                             std::optional<int> reason) {
  const std::string doing = "revoking the certificate " + printable(id, 200);
  Store& store = leases.store();
  Result<std::shared_ptr<Hold>> hold = co_await leases.take(certificate_lease(id));
  if (!hold) co_return hold.error().while_doing(doing);
  Result<std::optional<RecordRead>> read = co_await load_record(store, id);
  if (!read) co_return read.error().while_doing(doing);
  if (!*read) co_return no_such_certificate(doing, id);
  const std::uint64_t live = (*read)->record.live;
  if (live == 0) co_return Error(Errc::not_found, doing, "it was never issued");
  const std::string live_key = generation_key(id, live);
  Result<std::optional<StoredValue>> stored = co_await manager::load_one_of(store, live_key);
  if (!stored) co_return stored.error().while_doing(doing);
  if (!*stored) co_return Error(Errc::io_failed, doing, live_key + " is missing, and the record names it");
  Result<Generation> generation = decode_generation((*stored)->value);
  if (!generation) co_return generation.error().while_doing("reading " + live_key);
  Result<Certificate> leaf = result_of([&] { return Certificate::from_pem(generation->chain_pem); });
  if (!leaf) co_return leaf.error().while_doing("reading " + live_key);

  Result<std::shared_ptr<Hold>> account_hold = co_await leases.take(account_lease(session.directory_url()));
  if (!account_hold) co_return account_hold.error().while_doing(doing);
  manager::AccountRequest request;
  Result<Account> account =
      co_await manager::account_at(store, *account_hold, session, session.directory_url(), std::move(request));
  if (!account) co_return account.error().while_doing(doing);
  Revocation revocation;
  Result<void> revoked = co_await engine::revoke_certificate(session, *account, leaf->der, reason);
  revocation.was_revoked_before = !revoked && revoked.error().code() == Errc::already_revoked;
  if (!revoked && !revocation.was_revoked_before) co_return revoked.error().while_doing(doing);

  // The order of a revoked certificate must never be resumed.
  std::vector<Write> others;
  const std::string pending_key = pending_order_key(id);
  Result<std::optional<StoredValue>> there = co_await manager::load_one_of(store, pending_key);
  if (there && *there) {
    const Result<PendingOrder> pending = decode_pending_order((*there)->value);
    if (pending && !pending->key_pem.empty() && is_same_key(pending->key_pem, generation->key_pem)) {
      Result<std::string> kept = co_await manager::keep_unused_key(store, pending->key_pem);
      if (!kept) co_return kept.error().while_doing(doing);
      others.emplace_back(pending_key);
    }
  } else if (!there && there.error().code() == Errc::cancelled) {
    co_return there.error();
  }
  const Instant instant = co_await now();
  RecordChange mark = [time = base::format_rfc3339(instant.wall), reason](CertificateRecord& record) -> Result<void> {
    if (record.revoked.empty()) record.revoked = time;
    record.key_compromised = record.key_compromised || reason == key_compromise;
    return {};
  };
  Result<CertificateRecord> marked = co_await rewrite_record(store, *hold, id, std::move(mark), std::move(others));
  if (!marked) {
    co_return marked.error().while_doing(doing + ": it is revoked, but that could not be stored; revoke it again");
  }
  co_return revocation;
}

}  // namespace

Flow<Result<std::vector<StoredCertificate>>> list_certificates(std::shared_ptr<Storage> storage) {
  return list_in(std::move(storage), std::string(all_certificates));
}

Flow<Result<std::optional<StoredCertificate>>> find_certificate(std::shared_ptr<Storage> storage, std::string id) {
  Result<std::vector<StoredCertificate>> found = co_await list_in(std::move(storage), prefix_of(id));
  if (!found) co_return found.error();
  if (found->empty()) co_return std::optional<StoredCertificate>();
  co_return std::optional<StoredCertificate>(std::move(found->front()));
}

Flow<Result<CertificateRecord>> change_certificate(std::shared_ptr<Storage> storage, std::string id,
                                                   std::function<Result<void>(CertificateRecord&)> change,
                                                   LeaseOptions lease) {
  Result<void> exists = co_await require_certificate(storage, id, "changing the certificate " + printable(id, 200));
  if (!exists) co_return exists.error();
  const std::function<Flow<Result<CertificateRecord>>(Leases&)> work = [id, change](Leases& leases) {
    return change_under_lease(leases, id, change);
  };
  for (int tries = 1;; ++tries) {
    Result<CertificateRecord> changed = co_await manager::with_leases<CertificateRecord>(storage, lease, work);
    if (changed || changed.error().code() != Errc::fenced || tries == lost_lease_tries) co_return changed;
  }
}

Flow<Result<void>> import_certificate(std::shared_ptr<Storage> storage, std::string id, CertificateRecord record,
                                      Generation generation, LeaseOptions lease) {
  const std::string doing = "importing the certificate " + printable(id, 200);
  if (Result<void> valid = check_new_id(id); !valid) co_return valid.error().while_doing(doing);
  if (Result<void> read = describe(record, generation, id); !read) co_return read.error().while_doing(doing);
  const std::function<Flow<Result<void>>(Leases&)> work = [id, record, generation](Leases& leases) {
    return import_under_lease(leases, id, record, generation);
  };
  co_return co_await manager::with_leases<void>(std::move(storage), std::move(lease), work);
}

Flow<Result<std::vector<std::string>>> remove_certificate(std::shared_ptr<Storage> storage, std::string id,
                                                          LeaseOptions lease) {
  using Keys = std::vector<std::string>;
  Result<void> exists = co_await require_certificate(storage, id, "removing the certificate " + printable(id, 200));
  if (!exists) co_return exists.error();
  const std::function<Flow<Result<Keys>>(Leases&)> work = [id](Leases& leases) {
    return remove_under_lease(leases, id);
  };
  co_return co_await manager::with_leases<Keys>(std::move(storage), std::move(lease), work);
}

Flow<Result<void>> rename_certificate(std::shared_ptr<Storage> storage, std::string from, std::string to,
                                      LeaseOptions lease) {
  const std::string doing = "renaming the certificate " + printable(from, 200);
  if (Result<void> valid = check_new_id(to); !valid) co_return valid.error().while_doing(doing);
  if (from == to) co_return Error(Errc::invalid_argument, doing, "the new id is the present one");
  Result<void> exists = co_await require_certificate(storage, from, doing);
  if (!exists) co_return exists.error();
  const std::function<Flow<Result<void>>(Leases&)> work = [from, to](Leases& leases) {
    return rename_under_leases(leases, from, to);
  };
  co_return co_await manager::with_leases<void>(std::move(storage), std::move(lease), work);
}

Flow<Result<Revocation>> revoke_stored_certificate(std::shared_ptr<Storage> storage, engine::Session session,
                                                   std::string id, std::optional<int> reason, LeaseOptions lease) {
  Result<void> exists = co_await require_certificate(storage, id, "revoking the certificate " + printable(id, 200));
  if (!exists) co_return exists.error();
  const std::function<Flow<Result<Revocation>>(Leases&)> work = [session, id, reason](Leases& leases) {
    return revoke_under_leases(leases, session, id, reason);
  };
  co_return co_await manager::with_leases<Revocation>(std::move(storage), std::move(lease), work);
}

}  // namespace culmen
