#include "manager/catalogue.hpp"

#include <algorithm>
#include <iterator>

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

namespace {
/// With CertificateSpec::allow_subset, those that were left out may be missing.
bool has_wanted_names(const CertificateRecord& record, const CertificateSpec& spec) {
  const std::vector<std::string> there = canonical_names(record.names), wanted = canonical_names(spec.names);
  if (there == wanted) return true;
  if (!spec.allow_subset || !std::ranges::includes(wanted, there)) return false;
  return std::ranges::all_of(wanted, [&](const std::string& name) {
    return record.left_out.contains(name) || std::ranges::binary_search(there, name);
  });
}
}  // namespace

bool is_outdated(const CertificateRecord& record, const Entry& entry) {
  const bool known_ca =
      std::ranges::any_of(entry.wanted->cas, [&](const Ca* ca) { return ca->directory == record.server; });
  return is_outdated(record, entry.wanted->spec, entry.key_type(), known_ca);
}

bool is_outdated(const CertificateRecord& record, const CertificateSpec& spec, const std::string& key_type,
                 bool known_ca) {
  if (record.live == 0) return false;
  if (record.names != spec.names && !has_wanted_names(record, spec)) return true;
  if (!record.key_type.empty() && record.key_type != key_type &&
      base::to_lower(record.key_type) != base::to_lower(key_type))
    return true;
  if (!record.server.empty() && !known_ca) return true;
  const CertificateSpec& last = record.spec ? *record.spec : spec;  // for records of releases before
  return record.profile.value_or(last.profile) != spec.profile ||
         record.must_staple.value_or(last.must_staple) != spec.must_staple;
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
  first_not_loaded_.clear();
  auto place = entries_.begin();  // mostly: specs are often in order
  for (const std::shared_ptr<const Wanted>& each : wanted) {
    if (each->ids.size() > 1) specs_.emplace(each->ids.front(), each->ids);
    for (std::size_t i = 0; i < each->ids.size(); ++i) {
      const std::string& id = each->ids[i];
      auto node = before.extract(id);
      std::shared_ptr<Entry> entry =
          node ? std::move(node.mapped())
               : std::make_shared<Entry>(id, ++last_number_, each, static_cast<std::uint8_t>(i));
      if (!node) ++number_not_loaded_;
      const bool changed = node && !(entry->wanted->spec == each->spec);
      entry->wanted = each;
      entry->type = static_cast<std::uint8_t>(i);
      // Read again: whether it is outdated depends on the record. What failed may work with the new spec.
      if (changed) mark_not_loaded(*entry);
      if (changed) entry->attempts.clear();
      const std::string_view own_id = entry->id;
      place = std::next(entries_.emplace_hint(place, own_id, std::move(entry)));
    }
  }
  for (const auto& [id, entry] : before) remove(*entry);
}

void Catalogue::remove(Entry& entry) {
  entry.is_removed = true;
  forget_wake_up(entry);
  set_loaded(entry, true);
  for (const std::shared_ptr<Waiter>& waiter : entry.waiting) waiter->event.set();
  entry.waiting.clear();
}

void Catalogue::forget_wake_up(Entry& entry) {
  if (std::exchange(entry.will_wake, false)) wake_ups_.erase(entry.wake_up);
}

void Catalogue::wake(Entry& entry, planner::Time at) {
  forget_wake_up(entry);
  entry.wake_at = at;
  if (entry.is_removed) return;
  // Most look a day ahead, and so come last.
  entry.wake_up = wake_ups_.emplace_hint(wake_ups_.end(), at, &entry);
  entry.will_wake = true;
}

std::shared_ptr<Entry> Catalogue::take_due(planner::Time now) {
  if (wake_ups_.empty() || wake_ups_.begin()->first > now) return nullptr;
  Entry& entry = *wake_ups_.begin()->second;
  forget_wake_up(entry);
  return entry.shared_from_this();
}

std::optional<planner::Time> Catalogue::next_wake_up() const {
  if (wake_ups_.empty()) return std::nullopt;
  return wake_ups_.begin()->first;
}

std::vector<std::shared_ptr<Entry>> Catalogue::not_loaded(std::size_t limit) {
  std::vector<std::shared_ptr<Entry>> entries;
  const std::size_t most = std::min(limit, number_not_loaded_);
  for (auto at = entries_.lower_bound(first_not_loaded_); entries.size() < most && at != entries_.end(); ++at) {
    if (!at->second->is_loaded) entries.push_back(at->second);
  }
  if (!entries.empty()) first_not_loaded_ = entries.front()->id;
  std::ranges::sort(entries, OlderEntry());
  return entries;
}

void Catalogue::set_loaded(Entry& entry, bool is_loaded) {
  if (entry.is_loaded == is_loaded) return;
  entry.is_loaded = is_loaded;
  number_not_loaded_ = is_loaded ? number_not_loaded_ - 1 : number_not_loaded_ + 1;
  if (!is_loaded && entry.id < first_not_loaded_) first_not_loaded_ = entry.id;
}

void Catalogue::mark_not_loaded(Entry& entry) {
  forget_wake_up(entry);
  set_loaded(entry, false);
}

bool Catalogue::adopt(Entry& entry, const std::optional<CertificateRecord>& record, Revision revision) {
  const bool was_loaded = entry.is_loaded;
  set_loaded(entry, true);
  entry.is_unreadable = false;
  entry.revision = std::move(revision);
  const std::pair before(entry.live, entry.not_after);
  static const CertificateRecord none;
  const CertificateRecord& known = record ? *record : none;
  entry.live = known.not_after ? known.live : 0;
  entry.outdated = is_outdated(known, entry);
  entry.emergency = !known.emergency.empty() || !known.revoked.empty() || entry.must_mark;
  entry.key_compromised = known.key_compromised || (entry.must_mark && entry.key_compromised);
  entry.server = interned(known.server);
  // As storage has them: the same certificate has the same times, whether it was just issued or read.
  entry.not_before = std::chrono::floor<std::chrono::seconds>(known.not_before.value_or(planner::Time()));
  entry.not_after = std::chrono::floor<std::chrono::seconds>(known.not_after.value_or(planner::Time()));
  entry.renewal = known.renewal;
  entry.dice = known.dice;
  entry.attempts = known.attempts;
  entry.left_out = known.left_out;
  entry.last_error = known.last_error;
  if (std::pair(entry.live, entry.not_after) == before) return false;
  entry.said_late = entry.said_expired = false;
  // What was asked for before the record was read is about the certificate that it names.
  if (was_loaded) entry.forced.clear();
  // The manager that has just issued it puts the new one there before it adopts the record.
  if (entry.cached && (entry.cached->generation != entry.live || before.first == entry.live)) entry.cached.reset();
  return true;
}

void Catalogue::mark_unreadable(Entry& entry) {
  set_loaded(entry, true);
  entry.is_unreadable = true;
}

}  // namespace culmen::manager
