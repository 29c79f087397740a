#include "manager/catalogue.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "manager/cas.hpp"

namespace culmen::manager {

std::vector<std::string> canonical_names(const std::vector<std::string>& names) {
  std::set<std::string> canonical;
  for (const std::string& name : names) {
    const Result<Identifier> identifier = result_of([&] { return Identifier::parse(name); });
    canonical.insert(identifier ? identifier->value : name);
  }
  return {canonical.begin(), canonical.end()};
}

bool is_outdated(const CertificateRecord& record, const Entry& entry) {
  const bool known_ca =
      std::ranges::any_of(entry.wanted->cas, [&](const Ca* ca) { return ca->directory == record.server; });
  return is_outdated(record, entry.wanted->spec, entry.key_type(), known_ca);
}

bool is_outdated(const CertificateRecord& record, const CertificateSpec& spec, const std::string& key_type,
                 bool known_ca) {
  if (record.live == 0) return false;
  if (record.names != spec.names && canonical_names(record.names) != canonical_names(spec.names)) return true;
  if (!record.key_type.empty() && record.key_type != key_type &&
      base::to_lower(record.key_type) != base::to_lower(key_type))
    return true;
  if (!record.server.empty() && !known_ca) return true;
  return record.spec && (record.spec->profile != spec.profile || record.spec->must_staple != spec.must_staple);
}

std::shared_ptr<Entry> Catalogue::find(std::string_view id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Entry>> Catalogue::find_all(std::string_view id) const {
  std::vector<std::shared_ptr<Entry>> found;
  const auto spec = specs_.find(id);
  if (spec == specs_.end()) {
    if (std::shared_ptr<Entry> entry = find(id)) found.push_back(std::move(entry));
    return found;
  }
  for (const std::string& each : spec->second) {
    if (std::shared_ptr<Entry> entry = find(each)) found.push_back(std::move(entry));
  }
  return found;
}

void Catalogue::set(std::vector<std::shared_ptr<const Wanted>> wanted) {
  Entries before;
  before.swap(entries_);
  specs_.clear();
  for (const std::shared_ptr<const Wanted>& each : wanted) {
    if (each->ids.size() > 1) specs_.emplace(each->ids.front(), each->ids);
    for (std::size_t i = 0; i < each->ids.size(); ++i) {
      const std::string& id = each->ids[i];
      auto node = before.extract(id);
      std::shared_ptr<Entry> entry =
          node ? std::move(node.mapped())
               : std::make_shared<Entry>(id, ++last_number_, each, static_cast<std::uint8_t>(i));
      const bool changed = node && !(entry->wanted->spec == each->spec);
      entry->wanted = each;
      entry->type = static_cast<std::uint8_t>(i);
      Entry& added = *entry;
      entries_.emplace(id, std::move(entry));
      // Read again: whether it is outdated depends on the record. What failed may work with the new spec.
      if (!node || changed) mark_not_loaded(added);
      if (changed) added.attempts.clear();
    }
  }
  for (const auto& [id, entry] : before) remove(*entry);
}

void Catalogue::remove(Entry& entry) {
  entry.is_removed = true;
  heap_.erase(WakeUp(entry));
  not_loaded_.erase(entry.id);
  for (const std::shared_ptr<Waiter>& waiter : entry.waiting) waiter->event.set();
  entry.waiting.clear();
}

void Catalogue::wake(Entry& entry, planner::Time at) {
  heap_.erase(WakeUp(entry));
  entry.wake_at = at;
  if (!entry.is_removed) heap_.emplace(entry);
}

std::shared_ptr<Entry> Catalogue::take_due(planner::Time now) {
  if (heap_.empty() || heap_.begin()->at > now) return nullptr;
  std::shared_ptr<Entry> entry = find(heap_.begin()->entry->id);
  heap_.erase(heap_.begin());
  return entry;
}

std::optional<planner::Time> Catalogue::next_wake_up() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.begin()->at;
}

std::vector<std::shared_ptr<Entry>> Catalogue::not_loaded(std::size_t limit) const {
  std::vector<std::shared_ptr<Entry>> entries;
  for (const auto& [id, entry] : not_loaded_) {
    if (entries.size() == limit) break;
    entries.push_back(entry);
  }
  return entries;
}

void Catalogue::mark_not_loaded(Entry& entry) {
  heap_.erase(WakeUp(entry));
  entry.is_loaded = false;
  if (std::shared_ptr<Entry> shared = find(entry.id)) not_loaded_.emplace(entry.id, std::move(shared));
}

bool Catalogue::adopt(Entry& entry, const std::optional<CertificateRecord>& record, Revision revision) {
  not_loaded_.erase(entry.id);
  const bool was_loaded = std::exchange(entry.is_loaded, true);
  entry.is_unreadable = false;
  entry.revision = std::move(revision);
  const std::uint64_t before = entry.live;
  static const CertificateRecord none;
  const CertificateRecord& known = record ? *record : none;
  entry.live = known.not_after ? known.live : 0;
  entry.outdated = is_outdated(known, entry);
  entry.emergency = !known.emergency.empty() || !known.revoked.empty() || entry.must_mark;
  entry.key_compromised = known.key_compromised || (entry.must_mark && entry.key_compromised);
  entry.server = interned(known.server);
  entry.not_before = known.not_before.value_or(planner::Time());
  entry.not_after = known.not_after.value_or(planner::Time());
  entry.renewal = known.renewal;
  entry.dice = known.dice;
  entry.attempts = known.attempts;
  entry.last_error = known.last_error;
  if (entry.live == before) return false;
  entry.said_late = entry.said_expired = false;
  // What was asked for before the record was read is about the certificate that it names.
  if (was_loaded) entry.forced.clear();
  if (entry.cached && entry.cached->generation != entry.live) entry.cached.reset();
  return true;
}

void Catalogue::mark_unreadable(Entry& entry) {
  not_loaded_.erase(entry.id);
  entry.is_loaded = true;
  entry.is_unreadable = true;
}

}  // namespace culmen::manager
