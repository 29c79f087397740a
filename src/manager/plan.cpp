// What is done next, and by whom.
#include <algorithm>
#include <utility>

#include "manager/left_out.hpp"
#include "manager/manager_core.hpp"

namespace culmen::manager {

namespace {
using Kind = planner::Action::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t records_together = 1000;
/// The clock may jump, and timers stop while a machine sleeps.
constexpr seconds longest_sleep(60);
constexpr seconds between_ari_questions(1);
constexpr std::chrono::hours unreadable_pause(1);
constexpr seconds after_error(1);

/// When a worker should begin at the latest: those with short lives must not wait behind the others, nor the others for
/// ever.
planner::Time latest_begin(const Entry& entry, planner::Time now) {
  return now + std::clamp<planner::Duration>((entry.not_after - now) / 2, seconds(0), std::chrono::hours(1));
}

Flow<Result<void>> sleep_for(milliseconds duration) {
  Result<void> slept = co_await wait(duration);
  co_return slept;
}

/// For `duration`, or until the event is set.
Flow<Result<void>> sleep_until_woken(Event event, planner::Duration duration) {
  std::vector<Flow<Result<void>>> either;
  either.push_back(event.wait());
  either.push_back(sleep_for(std::max(std::chrono::ceil<milliseconds>(duration), milliseconds(1))));
  First<Result<void>> first = co_await first_of(std::move(either));
  co_return first.result;
}
}  // namespace

Flow<Result<void>> ManagerCore::plan(Mode mode) {
  planner::Time last;
  for (;;) {
    Result<void> loaded = co_await load_records(mode);
    if (!loaded && (mode == Mode::once || loaded.error().code() == Errc::cancelled)) co_return loaded;
    const Instant instant = co_await now();
    if (!loaded) load_at_ = instant.wall + store_.until_retry(instant);
    if (instant.wall + longest_sleep < last) clock_was_set_back(instant.wall);
    last = instant.wall;
    start_due(mode, instant);
    if (mode == Mode::once && is_idle(instant.wall)) co_return Result<void>();
    Result<void> slept = co_await sleep_until_woken(wake_, until_next_look(instant.wall));
    if (!slept) co_return slept;
  }
}

// ---- Reading records ----

Flow<Result<void>> ManagerCore::load_records(Mode mode) {
  for (;;) {
    std::vector<std::shared_ptr<Entry>> entries;
    std::vector<std::string> keys;
    const Instant begin = co_await now();
    {
      const std::lock_guard lock(mutex_);
      const bool waits = (begin.wall < load_at_ && load_at_ - begin.wall <= longest_sleep) || !store_.may_retry(begin);
      if (!waits || mode == Mode::once) entries = catalogue_.not_loaded(records_together);
      if (entries.empty() && catalogue_.number_not_loaded() > 0) co_return Result<void>();
    }
    if (entries.empty()) break;
    for (const std::shared_ptr<Entry>& entry : entries) keys.push_back(certificate_record_key(entry->id));
    Result<std::vector<Result<std::optional<StoredValue>>>> loaded = co_await store_.load_each(std::move(keys));
    if (!loaded) co_return loaded.error();
    std::vector<ManagerEvent> events;
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i]->is_removed) continue;
        adopt(entries[i], (*loaded)[i], begin.wall, events);
        if (!entries[i]->in_flight) catalogue_.wake(*entries[i], begin.wall);
      }
    }
    say_all(events);
    start_due(mode, begin);  // while what was read is in the caches, and before all the others are read
  }
  if (std::exchange(said_loaded_, true)) co_return Result<void>();
  std::size_t all = 0, live = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : catalogue_.entries()) {
      ++all;
      live += entry->live > 0 ? 1 : 0;
    }
  }
  const Instant end = co_await now();
  reporter_.say(make_event(ManagerEvent::Kind::loaded, end.wall,
                           std::to_string(live) + " of " + std::to_string(all) + " certificates are there"));
  co_return Result<void>();
}

bool ManagerCore::adopt(const std::shared_ptr<Entry>& entry, const Result<std::optional<StoredValue>>& stored,
                        planner::Time now, std::vector<ManagerEvent>& events) {
  if (stored && !*stored) {
    adopt_record(entry, std::nullopt, Revision());
    return true;
  }
  Result<CertificateRecord> record =
      stored ? decode_certificate_record((*stored)->value) : Result<CertificateRecord>(stored.error());
  if (record) {
    adopt_record(entry, std::move(*record), (*stored)->revision);
    return true;
  }
  // Damaged is not absent: nothing is ordered in its place.
  const Error why =
      stored ? record.error().while_doing("reading " + certificate_record_key(entry->id)) : stored.error();
  summary_.failed.insert_or_assign(entry->id, why);
  for (const std::shared_ptr<Waiter>& waiter : entry->waiting) {
    waiter->error = why;
    waiter->event.set();
  }
  entry->waiting.clear();
  if (!entry->is_unreadable) {
    ManagerEvent event = make_event(ManagerEvent::Kind::failed, now,
                                    std::string(why.what()) + "; repair or remove it: until then it is left alone");
    event.id = entry->id;
    event.next = now + unreadable_pause;
    events.push_back(std::move(event));
    entry->last_error = why.what();
  }
  catalogue_.mark_unreadable(*entry);
  return false;
}

void ManagerCore::adopt_record(const std::shared_ptr<Entry>& entry, const std::optional<CertificateRecord>& record,
                               Revision revision) {
  const bool is_new = catalogue_.adopt(*entry, record, std::move(revision));
  if (!entry->is_delivered()) counts_from_now_on(entry);
  if (!is_new) return;
  entry->asks_again_at = planner::Time();
  for (const std::shared_ptr<Waiter>& waiter : entry->waiting) waiter->event.set();
  entry->waiting.clear();
}

/// With the mutex locked: the certificate that counts cannot be used, so it is ordered anew. Its key is lost, or has to
/// be taken for lost.
void ManagerCore::replace_unusable(Entry& entry, const Error& why) {
  if (entry.live == 0 || !entry.forced.empty()) return;
  entry.forced = std::string("what is stored of the present one cannot be used: ") + why.what();
  if (entry.is_loaded && !entry.in_flight) catalogue_.wake(entry, planner::Time());
  wake_.set();
}

void ManagerCore::say_all(const std::vector<ManagerEvent>& events) const {
  for (const ManagerEvent& event : events) reporter_.say(event);
}

// ---- Deciding ----

planner::Situation ManagerCore::situation(const Entry& entry, planner::Time now, bool with_left_out) const {
  planner::Situation known;
  const CertificateSpec& spec = entry.wanted->spec;
  if (entry.live > 0) {
    known.live.emplace();
    known.live->not_before = entry.not_before;
    known.live->not_after = entry.not_after;
    known.live->renewal = entry.renewal;
    known.issued_by = *entry.server;
  }
  known.outdated = entry.outdated;
  known.emergency = entry.emergency || !entry.forced.empty();
  known.renew_before = spec.renew_before;
  if (with_left_out) known.left_out_again = next_try_of(spec, entry.left_out, now);
  known.attempts = entry.attempts;
  if (entry.retries) {
    // What the CA said about waiting holds, and so does a pause after an order that it counts. One that was good is no
    // reason to wait if something else is wanted now.
    using planner::Failure;
    for (auto& [ca, attempts] : known.attempts) {
      const bool counts = attempts.last == Failure::rate_limited || attempts.last == Failure::bad_certificate ||
                          (attempts.last == Failure::none && !entry.outdated);
      if (!counts) attempts.last_at.reset();
    }
  }
  known.dice = entry.dice;
  known.held_until = entry.held_until;
  CountedOrder order;
  for (const Ca* ca : entry.wanted->cas) {
    known.cas.push_back(ca->directory);
    if (entry.live > 0 && ca->directory == known.issued_by && spec.use_renewal_info) {
      known.offers_renewal_info = ca->offers_renewal_info.value_or(true) && now >= ca->no_renewal_info_until;
    }
    if (ca->limits.empty()) continue;
    if (order.names.empty())
      order.names = with_left_out ? names_to_try(spec, entry.left_out, now) : remaining_names(spec, entry.left_out);
    order.renewal = entry.live > 0 && !entry.outdated && !with_left_out &&
                    ca->directory == known.issued_by;  // to others it is a new one
    const std::optional<RenewalInfo>& info = entry.renewal.info;
    order.ari_renewal =
        order.renewal && known.offers_renewal_info && info && info->window_start <= now && now < info->window_end;
    known.allowed_at[ca->directory] =
        ca->ledger.allowed_at(ca->limits, order, now, order.renewal ? 0 : reserve_for_renewals);
  }
  return known;
}

planner::Action ManagerCore::decision(const Entry& entry, planner::Time now) const {
  planner::Action action = planner::decide(situation(entry, now), cas_.health, options_.policy, now);
  if (action.due || action.kind == Kind::look_in_storage || entry.live == 0 || entry.left_out.empty()) return action;
  // Names that were left out wait for the others: an order that tries them again is another one to the CA's limits.
  const std::optional<planner::Time> next_try = next_try_of(entry.wanted->spec, entry.left_out, now);
  if (!next_try) return action;
  action.wake_at = std::min(action.wake_at, std::max<planner::Time>(*next_try, now + seconds(1)));
  if (*next_try > now) return action;
  planner::Action again = planner::decide(situation(entry, now, true), cas_.health, options_.policy, now);
  if (again.kind == Kind::issue) return again;
  action.wake_at = std::min(action.wake_at, again.wake_at);
  return action;
}

void ManagerCore::collect_alarms(Entry& entry, const planner::Action& action, planner::Time now,
                                 std::vector<ManagerEvent>& events) const {
  if (entry.live == 0) return;
  const auto add = [&](ManagerEvent::Kind kind) {
    ManagerEvent event = make_event(kind, now, action.reason);
    event.id = entry.id;
    event.ca = action.ca;
    event.not_after = entry.not_after;
    event.next = action.wake_at;
    events.push_back(std::move(event));
  };
  if (action.late && !std::exchange(entry.said_late, true)) add(ManagerEvent::Kind::late);
  if (entry.not_after <= now && !std::exchange(entry.said_expired, true)) add(ManagerEvent::Kind::expired);
}

/// While storage is down, one certificate at a time finds out whether it works again.
bool ManagerCore::may_use_storage(const Instant& instant) {
  if (!store_.may_retry(instant)) return false;
  if (store_.is_down()) store_.postpone_retry(instant);
  return true;
}

void ManagerCore::consider(const std::shared_ptr<Entry>& entry, Mode mode, const Instant& instant,
                           std::vector<JobPointer>& early, std::vector<ManagerEvent>& events) {
  const planner::Time now = instant.wall;
  if (entry->in_flight || !entry->is_loaded) return;
  planner::Action action;
  bool marks = false;
  if (entry->is_unreadable) {
    action.kind = entry->was_tried ? Kind::nothing : Kind::look_in_storage;
    action.wake_at = now + unreadable_pause;
  } else {
    action = decision(*entry, now);
    collect_alarms(*entry, action, now, events);
    marks = entry->must_mark && action.kind != Kind::issue;
  }
  if (mode == Mode::once && entry->was_tried && action.kind == Kind::issue) {
    catalogue_.wake(*entry, std::max(action.wake_at, now + seconds(1)));
    return;
  }
  if (action.kind == Kind::ask_renewal_info && !marks && entry->asks_again_at > now) {
    catalogue_.wake(*entry, std::min(entry->asks_again_at, std::max(action.wake_at, now + seconds(1))));
    return;
  }
  if (action.kind == Kind::ask_renewal_info && !marks && mode == Mode::until_stopped) {
    if (!entry->ari_slot) {
      entry->ari_slot = std::max(now, next_ari_);
      next_ari_ = *entry->ari_slot + between_ari_questions;
    }
    if (*entry->ari_slot > now) {
      // It may become due before its turn comes.
      catalogue_.wake(*entry, std::min(*entry->ari_slot, std::max(action.wake_at, now + seconds(1))));
      return;
    }
    entry->ari_slot.reset();
  }
  if (action.kind == Kind::nothing && !marks) {
    catalogue_.wake(*entry, std::max(action.wake_at, now + milliseconds(1)));
    return;
  }
  const auto job = std::make_shared<Job>(entry, action);
  job->marks = marks;
  if (action.kind == Kind::issue && action.early && options_.emergency_per_hour > 0) {
    early.push_back(job);
  } else {
    begin(job, mode, instant);
  }
}

void ManagerCore::begin(JobPointer job, Mode mode, const Instant& instant) {
  Entry& entry = *job->entry;
  const planner::Action& action = job->action;
  if (!may_use_storage(instant)) {
    if (mode == Mode::once && action.kind == Kind::issue) {
      summary_.failed.insert_or_assign(entry.id, Error(Errc::io_failed, "issuing", "storage does not work"));
    }
    catalogue_.wake(entry, std::max(store_.retry_at(instant), instant.wall + milliseconds(1)));
    return;
  }
  entry.in_flight = true;
  if (action.kind == Kind::issue || entry.is_unreadable) entry.was_tried = true;
  const bool urgent = action.emergency || entry.emergency || job->marks;
  if (entry.live == 0 && !urgent) {
    queued_new_.push_back(std::move(job));
  } else {
    const planner::Time at = urgent ? entry.not_after : latest_begin(entry, instant.wall);
    queued_.emplace(std::pair(!urgent, at), std::move(job));
  }
}

/// What the throttle says.
planner::Time ManagerCore::early_allowed_at(const planner::Action& action, planner::Time now) {
  const Ca* ca = cas_.find(action.ca);
  if (!action.early || !ca) return now;
  CountedOrder order;
  order.renewal = true;  // nothing is kept back for others
  return ca->ledger.allowed_at(ca->throttle, order, now, 0);
}

/// Begins as many as the throttle may allow soon, those first that expire first. There may be very many: the others
/// are looked at again only once a minute.
void ManagerCore::begin_early(std::vector<JobPointer> jobs, Mode mode, const Instant& instant,
                              std::vector<ManagerEvent>& events) {
  const planner::Time now = instant.wall;
  std::ranges::stable_sort(
      jobs, [](const auto& one, const auto& other) { return one->entry->not_after < other->entry->not_after; });
  const std::size_t soon = options_.width + std::max<std::size_t>(options_.width, options_.emergency_per_hour / 60);
  std::map<std::string, std::size_t> ranks;  // by CA
  for (JobPointer& job : jobs) {
    Entry& entry = *job->entry;
    const planner::Action& action = job->action;
    const std::size_t rank = ranks[action.ca]++;
    const planner::Time allowed_at = early_allowed_at(action, now);
    if (allowed_at <= now && (rank < soon || mode == Mode::once)) {
      begin(std::move(job), mode, instant);
      continue;
    }
    Ca* const ca = cas_.find(action.ca);
    if (ca && allowed_at > now && now - ca->said_throttled_at > std::chrono::hours(24)) {
      ca->said_throttled_at = now;
      const std::string most = std::to_string(options_.emergency_per_hour);
      events.push_back(make_event(ManagerEvent::Kind::warning, now,
                                  "many certificates are to be replaced at once, and no more than " + most +
                                      " an hour will be: see ManagerOptions::emergency_per_hour"));
      events.back().ca = ca->directory;
      events.back().next = allowed_at;
    }
    if (entry.must_mark) {  // so that it is not forgotten before its turn comes
      job->marks = true;
      begin(std::move(job), mode, instant);
      continue;
    }
    const planner::Duration pause = rank < soon ? seconds(1) : longest_sleep;
    const planner::Time latest = std::max(action.wake_at, now + seconds(1));
    catalogue_.wake(entry, std::min(std::max(allowed_at, now + pause), latest));
  }
}

void ManagerCore::start_due(Mode mode, const Instant& instant) {
  std::vector<ManagerEvent> events;
  {
    const std::lock_guard lock(mutex_);
    std::vector<JobPointer> early;
    while (std::shared_ptr<Entry> entry = catalogue_.take_due(instant.wall)) {
      consider(entry, mode, instant, early, events);
    }
    begin_early(std::move(early), mode, instant, events);
    spawn_queued();
  }
  say_all(events);
}

/// What was to be looked at when the clock showed a later time is looked at now.
void ManagerCore::clock_was_set_back(planner::Time now) {
  const std::lock_guard lock(mutex_);
  next_ari_ = planner::Time();
  for (const auto& [directory, ca] : cas_.all()) ca->no_renewal_info_until = planner::Time();
  for (auto& [entry, delivery] : deliveries_) delivery.not_before = planner::Time();
  for (const auto& [id, entry] : catalogue_.entries()) {
    entry->ari_slot.reset();
    entry->asks_again_at = planner::Time();
    if (entry->is_loaded && !entry->in_flight) catalogue_.wake(*entry, now);
  }
}

bool ManagerCore::is_idle(planner::Time now) const {
  const std::lock_guard lock(mutex_);
  const std::optional<planner::Time> next = catalogue_.next_wake_up();
  return running_ == 0 && queued_.empty() && queued_new_.empty() && (!next || *next > now);
}

planner::Duration ManagerCore::until_next_look(planner::Time now) const {
  const std::lock_guard lock(mutex_);
  planner::Duration duration = longest_sleep;
  if (const std::optional<planner::Time> next = catalogue_.next_wake_up()) duration = std::min(duration, *next - now);
  if (catalogue_.number_not_loaded() > 0 && load_at_ > now) duration = std::min(duration, load_at_ - now);
  return std::max(duration, planner::Duration::zero());
}

// ---- Working ----

void ManagerCore::spawn_queued() {
  while (running_ < options_.width && (!queued_.empty() || !queued_new_.empty())) {
    JobPointer job;
    const bool is_urgent = !queued_.empty() && !queued_.begin()->first.first;
    if (queued_.empty() || (!is_urgent && is_turn_of_new_ && !queued_new_.empty())) {
      job = queued_new_.front();
      queued_new_.pop_front();
      is_turn_of_new_ = false;
    } else {
      job = queued_.begin()->second;
      queued_.erase(queued_.begin());
      is_turn_of_new_ = true;
    }
    ++running_;
    job->child = nursery_->spawn(work(job));
  }
}

Flow<Result<void>> ManagerCore::work(JobPointer job) {
  std::function<Flow<Result<void>>()> make = [this, job] { return work_on(job); };
  Result<void> worked = co_await guarded<void>(std::move(make), "working on " + printable(job->entry->id, 200));
  if (!worked && worked.error().code() != Errc::cancelled) reporter_.log(LogLevel::debug, worked.error().what());
  const Instant instant = co_await now();
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = *job->entry;
    if (!worked && job->action.kind == Kind::issue) summary_.failed.try_emplace(entry.id, worked.error());
    entry.in_flight = false;
    --running_;
    // After an error a little later: it may have left nothing that keeps the plan from trying again at once.
    planner::Time again = worked ? instant.wall : instant.wall + after_error;
    if (job->again_at) again = std::max(again, *job->again_at);
    if (!entry.is_removed && entry.is_loaded) catalogue_.wake(entry, again);
    if (!deliveries_.empty()) deliver_.set();  // one of the same spec may have waited for it
  }
  wake_.set();
  co_return Result<void>();
}

Flow<Result<void>> ManagerCore::work_on(JobPointer job) {
  const Instant instant = co_await now();
  if (!job->marks) {
    const std::lock_guard lock(mutex_);
    Entry& entry = *job->entry;
    if (!entry.is_unreadable) {
      // It may have waited in the queue for long.
      const planner::Action action = decision(entry, instant.wall);
      if (action.kind != job->action.kind) co_return Result<void>();
      job->action = action;
      const planner::Time allowed_at = early_allowed_at(action, instant.wall);
      if (allowed_at > instant.wall) {
        job->again_at = std::min(allowed_at, action.wake_at);
        job->marks = entry.must_mark;
        if (!job->marks) co_return Result<void>();
      }
    }
  }
  if (job->marks) co_return co_await mark_emergency(job);
  switch (job->action.kind) {
    case Kind::issue: co_return co_await issue(job);
    case Kind::ask_renewal_info: co_return co_await ask_renewal_info(job);
    case Kind::look_in_storage: co_return co_await look_in_storage(job);
    case Kind::nothing: break;
  }
  co_return Result<void>();
}

}  // namespace culmen::manager
