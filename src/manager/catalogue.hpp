// The certificates that are wanted, and when each is looked at next.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/certificate_record.hpp"
#include "culmen/certificate_spec.hpp"
#include "culmen/event.hpp"
#include "culmen/manager_options.hpp"
#include "culmen/planner.hpp"
#include "culmen/storage.hpp"

namespace culmen::manager {

struct Ca;

/// A spec with its CAs. Shared by the certificates of its key types.
struct Wanted {
  explicit Wanted(CertificateSpec spec_) : spec(std::move(spec_)) {}
  CertificateSpec spec;
  std::vector<Ca*> cas;
  std::vector<std::string> ids;  ///< Of its certificates, in the order of key types.
};

/// Somebody who waits for a certificate: ensure().
struct Waiter {
  Waiter() = default;
  Event event;
  std::optional<Error> error;  ///< Of the attempt.
};

struct Entry;
/// By when they are looked at; those of the same time in the order in which that was decided.
using WakeUps = std::multimap<planner::Time, Entry*>;

/// One certificate: what of its record is needed to plan. There may be a million: no PEM texts in here, but for
/// `cached`.
struct Entry : std::enable_shared_from_this<Entry> {
  Entry(std::string id_, std::uint64_t number_, std::shared_ptr<const Wanted> wanted_, std::uint8_t type_)
      : id(std::move(id_)), number(number_), wanted(std::move(wanted_)), type(type_) {}
  const std::string& key_type() const { return wanted->spec.key_types[type]; }

  const std::string id;
  const std::uint64_t number;  ///< Orders them, the same in every run.
  std::shared_ptr<const Wanted> wanted;
  std::uint8_t type;  ///< The index of its key type.

  // From the record.
  bool is_loaded = false;
  bool is_gone = false;        ///< Another process removed its record: ManagerOptions::only_recorded.
  bool is_unreadable = false;  ///< The record is damaged: not planned until it can be read.
  bool outdated = false;
  bool emergency = false;
  bool key_compromised = false;
  Revision revision;
  std::uint64_t live = 0;
  const std::string* server = nullptr;  ///< Directory URL of the live certificate's CA; interned.
  planner::Time not_before, not_after;
  RenewalState renewal;
  double dice = 0.5;
  std::map<std::string, planner::Attempts> attempts;
  std::map<std::string, LeftOutName> left_out;
  std::string last_error;

  // Of this process.
  bool in_flight = false;
  bool is_removed = false;
  bool is_listed = false;  ///< Storage has a record of it, as the present look for changes has seen.
  bool must_mark = false;  ///< An emergency that is not in the record yet.
  bool said_late = false;
  bool said_expired = false;
  bool was_tried = false;  ///< In this run_once().
  bool will_wake = false;  ///< It has a place among the wake-ups.
  std::optional<planner::Time> held_until;
  std::optional<planner::Time> ari_slot;  ///< When its turn to ask the CA is.
  /// This process does not ask the CA again before, whatever time another process, whose clock differs, has stored.
  planner::Time asks_again_at;
  bool retries = false;   ///< Pauses after failures do not count until the next attempt.
  std::string forced;     ///< Why it is to be renewed at once, whatever its age.
  planner::Time wake_at;  ///< The time of its wake-up.
  WakeUps::iterator wake_up;
  // What the sink has taken. Numbers of generations begin again when a storage is lost, so the number does not suffice.
  std::uint64_t delivered = 0;
  planner::Time delivered_until;
  bool is_delivered() const noexcept { return delivered == live && (live == 0 || delivered_until == not_after); }
  void set_delivered() noexcept {
    delivered = live;
    delivered_until = not_after;
  }
  std::shared_ptr<const InstalledCertificate> cached;
  std::vector<std::shared_ptr<Waiter>> waiting;
};

/// By age. Not by address: what happens must not depend on that.
struct OlderEntry {
  bool operator()(const std::shared_ptr<Entry>& one, const std::shared_ptr<Entry>& other) const noexcept {
    return one->number < other->number;
  }
};

/// Not thread-safe.
class Catalogue {
 public:
  using Entries = std::map<std::string_view, std::shared_ptr<Entry>>;  // by their own ids

  const Entries& entries() const noexcept { return entries_; }
  std::shared_ptr<Entry> find(std::string_view id) const;
  /// Those of a spec's id, or the one certificate with that id.
  std::vector<std::shared_ptr<Entry>> find_all(std::string_view id) const;

  /// Replaces what is wanted. What stays keeps what is known about it; it is looked at again at once.
  void set(std::vector<std::shared_ptr<const Wanted>> wanted);

  /// Looks at it at that time, in place of the time set before.
  void wake(Entry& entry, planner::Time at);
  /// Takes the next that is due, if there is one.
  std::shared_ptr<Entry> take_due(planner::Time now);
  std::optional<planner::Time> next_wake_up() const;
  std::size_t number_of_wake_ups() const noexcept { return wake_ups_.size(); }

  /// Up to `limit` that were not read from storage; all of them, if they are fewer.
  std::vector<std::shared_ptr<Entry>> not_loaded(std::size_t limit);
  std::size_t number_not_loaded() const noexcept { return number_not_loaded_; }
  void mark_not_loaded(Entry& entry);
  /// The record as read; nullopt: there is none. Whether another generation counts now.
  bool adopt(Entry& entry, const std::optional<CertificateRecord>& record, Revision revision);
  void mark_unreadable(Entry& entry);

 private:
  void remove(Entry& entry);
  void forget_wake_up(Entry& entry);
  void set_loaded(Entry& entry, bool is_loaded);
  const std::string* interned(const std::string& text) { return &*texts_.insert(text).first; }

  Entries entries_;
  WakeUps wake_ups_;
  std::uint64_t last_number_ = 0;
  std::size_t number_not_loaded_ = 0;
  std::string first_not_loaded_;                                        ///< No id before this one is not loaded.
  std::map<std::string, std::vector<std::string>, std::less<>> specs_;  // ids of certificates, where there are several
  std::set<std::string> texts_;
};

/// Canonical, in order, without duplicates.
std::vector<std::string> canonical_names(const std::vector<std::string>& names);
/// Whether the certificate of the record is not what is wanted any more.
bool is_outdated(const CertificateRecord& record, const Entry& entry);
/// `known_ca`: its CA is one of those that are wanted.
bool is_outdated(const CertificateRecord& record, const CertificateSpec& spec, const std::string& key_type,
                 bool known_ca);

}  // namespace culmen::manager
