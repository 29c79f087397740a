// What an attempt stores: the record, and the new certificate with its key.
#include <algorithm>
#include <set>
#include <utility>

#include "culmen/attempt.hpp"
#include "manager/issuance.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
constexpr int write_record_tries = 3;

std::string json_text(const std::string& text) {
  std::string quoted = "\"";
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      quoted += "\\u00";
      quoted += digits[octet >> 4];
      quoted += digits[octet & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

/// Of a JSON object, without its braces.
std::string members_of(const std::string& object) {
  const std::size_t first = object.find('{'), last = object.rfind('}');
  if (first == std::string::npos || last == std::string::npos || last < first) return {};
  const std::string members = object.substr(first + 1, last - first - 1);
  return members.find_first_not_of(" \t\r\n") == std::string::npos ? std::string() : members;
}

/// As the program writes it.
std::string meta_of(const CertificateRecord& record, const IssuedCertificate& issued, const std::string& more) {
  std::string names;
  for (const std::string& name : record.names) names += (names.empty() ? "" : ",") + json_text(name);
  return "{\"server\":" + json_text(record.server) + ",\"account\":" + json_text(record.account) + ",\"names\":[" +
         names + "],\"key_type\":" + json_text(record.key_type) + ",\"order\":" + json_text(issued.order.url) +
         ",\"certificate\":" + json_text(issued.chain.url) + (more.empty() ? "" : "," + more) + "}";
}
}  // namespace

Flow<Result<void>> ManagerCore::write_record(Issuance& issuance) {
  return write_record(issuance, std::vector<Write>(), std::vector<Write>());
}

/// The record, and what must be stored before and after it: in one write, if storage can do that.
Flow<Result<void>> ManagerCore::write_record(Issuance& issuance, std::vector<Write> before, std::vector<Write> after) {
  const std::string key = certificate_record_key(issuance.entry->id);
  const bool together = store_.many_in_one();
  if (!together && !before.empty()) {
    Result<std::vector<Revision>> written = co_await store_.write(std::move(before), issuance.hold);
    if (!written) co_return written.error();
    before.clear();
  }
  const std::size_t at = before.size();
  for (int tries = 1;; ++tries) {
    Write record(key, encode(issuance.record));
    record.expected = issuance.revision;
    std::vector<Write> writes = before;
    writes.push_back(std::move(record));
    if (together) writes.insert(writes.end(), after.begin(), after.end());
    Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), issuance.hold);
    if (written) {
      issuance.revision = (*written)[at];
      {
        const std::lock_guard lock(mutex_);
        adopt_record(issuance.entry, issuance.record, issuance.revision);
      }
      if (together || after.empty()) co_return Result<void>();
      // What is left over is recognized as such, and removed the next time.
      Result<std::vector<Revision>> removed = co_await store_.write(std::move(after), issuance.hold);
      if (!removed) reporter_.log(LogLevel::warning, removed.error().what());
      co_return Result<void>();
    }
    if (written.error().code() != Errc::conflict || tries == write_record_tries) co_return written.error();
    // Somebody without the lease has changed it: an answer of the CA about renewal, or a mark. What we know of the
    // certificate counts; what is marked there stays.
    std::vector<std::string> keys(1, key);
    Result<std::vector<std::optional<StoredValue>>> loaded = co_await store_.load(std::move(keys));
    if (!loaded) co_return loaded.error();
    const std::optional<StoredValue>& stored = loaded->front();
    issuance.revision = stored ? stored->revision : Revision();
    if (!stored) continue;
    Result<CertificateRecord> there = decode_certificate_record(stored->value);
    if (!there) co_return there.error().while_doing("reading " + key);
    const std::uint64_t expected_live = issuance.entry->live;
    if (there->live != expected_live) co_return written.error();
    if (issuance.record.live == expected_live) {
      issuance.record.renewal = there->renewal;
      issuance.record.emergency = there->emergency;
      issuance.record.revoked = there->revoked;
      issuance.record.key_compromised = there->key_compromised || issuance.record.key_compromised;
    }
    issuance.record.unknown = there->unknown;
  }
}

Flow<Result<void>> ManagerCore::install(Issuance& issuance, IssuedCertificate issued) {
  Entry& entry = *issuance.entry;
  const Certificate& leaf = issued.chain.leaf;
  const Instant instant = co_await now();
  CertificateRecord record = issuance.record;
  const std::uint64_t replaced = record.live;
  record.names = names_of(leaf.identifiers);
  record.key_type = issuance.key_type();
  record.server = issuance.ca->directory;
  record.account = issuance.account->url;
  record.profile = issuance.spec().profile;
  record.must_staple = issuance.spec().must_staple;
  record.not_before = leaf.not_before;
  record.not_after = leaf.not_after;
  const Result<std::string> certificate = result_of([&] { return certificate_id(leaf); });
  record.certificate_id = certificate ? *certificate : std::string();
  record.renewal = RenewalState();
  record.dice = random();
  record.attempts.clear();
  record.attempts[record.server] = planner::updated_attempts(planner::Attempts(), planner::Failure::none, instant.wall);
  record.last_error.clear();
  const std::vector<std::string> wanted = canonical_names(issuance.spec().names);
  std::erase_if(record.left_out, [&](const auto& left_out) {
    const bool is_wanted = issuance.spec().allow_subset && std::ranges::binary_search(wanted, left_out.first);
    return !is_wanted || std::ranges::find(record.names, left_out.first) != record.names.end();
  });
  record.emergency.clear();
  record.revoked.clear();
  record.key_compromised = false;

  Generation generation;
  generation.key_pem = issued.key->to_pem();
  generation.chain_pem = issued.chain_pem;
  generation.meta = meta_of(record, issued, issuance.attempt ? members_of(issuance.attempt->meta) : "");
  const Result<std::string> encoded = result_of([&] { return encode(generation); });
  if (!encoded) co_return co_await fail(issuance, encoded.error());

  // Two generations are kept. Others are of a crash, or older.
  const std::string prefix = certificate_lease(entry.id) + "/";
  Result<std::vector<StoredItem>> there = co_await store_.list(prefix, "", false);
  if (!there) co_return co_await fail(issuance, there.error());
  std::set<std::string> keys;
  for (const StoredItem& item : *there) keys.insert(item.key);
  std::uint64_t number = std::max(record.last_generation, replaced) + 1;
  while (keys.contains(generation_key(entry.id, number))) ++number;
  std::vector<Write> before, after;
  Write newest(generation_key(entry.id, number), *encoded);
  newest.expected = Revision();
  before.push_back(std::move(newest));
  if (issuance.pending) after.emplace_back(pending_order_key(entry.id));
  for (const std::string& key : keys) {
    const bool kept = key == certificate_record_key(entry.id) || key == pending_order_key(entry.id) ||
                      (replaced > 0 && key == generation_key(entry.id, replaced));
    const std::string_view name = std::string_view(key).substr(prefix.size());
    const bool is_generation = !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
    if (!kept && is_generation) after.emplace_back(key);
  }
  record.live = record.last_generation = number;

  const CertificateRecord earlier = std::exchange(issuance.record, std::move(record));
  const auto installed = std::make_shared<InstalledCertificate>();
  installed->id = entry.id;
  installed->generation = number;
  installed->chain_pem = std::move(generation.chain_pem);
  installed->key_pem = std::move(generation.key_pem);
  {
    const std::lock_guard lock(mutex_);
    entry.cached = installed;
    // What was said of the certificate that is replaced does not hold for this one, unless it has the same key.
    entry.must_mark = entry.must_mark && issuance.reuses_key && entry.key_compromised;
  }
  Result<void> written = co_await write_record(issuance, std::move(before), std::move(after));
  if (!written) {
    {
      const std::lock_guard lock(mutex_);
      if (entry.cached == installed) entry.cached.reset();
    }
    issuance.record = earlier;  // the order and the key are still pending: the next attempt goes on with them
    co_return co_await fail(issuance, written.error());
  }
  {
    const std::lock_guard lock(mutex_);
    update_health(*issuance.ca, planner::Failure::none, instant.wall);
    issuance.ca->refusals = 0;
    entry.forced.clear();
    entry.retries = false;
    summary_.issued.push_back(entry.id);
    summary_.failed.erase(entry.id);
  }
  say_ca_events();
  for (const std::string& warning : issued.warnings) {
    ManagerEvent event = make_event(ManagerEvent::Kind::warning, instant.wall, warning);
    event.id = entry.id;
    event.ca = issuance.ca->directory;
    reporter_.say(event);
  }
  ManagerEvent event = make_event(ManagerEvent::Kind::issued, instant.wall, "generation " + std::to_string(number));
  event.id = entry.id;
  event.ca = issuance.ca->directory;
  event.not_after = leaf.not_after;
  {
    const std::lock_guard lock(mutex_);
    event.next = decision(entry, instant.wall).wake_at;
  }
  reporter_.say(event);
  co_return Result<void>();
}

}  // namespace culmen::manager
