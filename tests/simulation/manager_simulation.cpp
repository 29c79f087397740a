#include "simulation/manager_simulation.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "culmen/certificate_record.hpp"
#include "culmen/records.hpp"
#include "culmen/storage.hpp"
#include "culmen/test_ca.hpp"
#include "manager/manager_core.hpp"
#include "simulation/monitor.hpp"
#include "simulation/process_driver.hpp"
#include "simulation/watched_storage.hpp"
#include "simulation/worlds.hpp"
#include "support/faulty_storage.hpp"

namespace culmen::simulation {

namespace {
using manager::ManagerCore;
using manager::Seams;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using test::FaultyStorage;
using test::StorageCall;
using test::StorageFault;
using test::StorageFaults;

// ---- A run ----

class Simulation {
 public:
  explicit Simulation(const Options& options);
  ~Simulation() {
    for (const auto& manager : managers_) {
      if (manager->process) driver_.kill(manager->process);
    }
  }
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;
  Outcome run();

 private:
  struct Manager {
    std::size_t number = 0;
    std::shared_ptr<FaultyStorage> faulty;
    std::shared_ptr<Storage> storage;
    std::shared_ptr<ManagerCore> core;
    std::shared_ptr<Process> process;
    Dice dice{0};
    Duration clock_error{0};
  };
  struct Name {
    std::optional<std::size_t> serial;  ///< Of what is installed.
    Time installed_at;
    Time expired_since;
  };

  void make_storage();
  void seed_storage();
  void start_manager(Manager& manager);
  void manager_ended(Manager& manager);
  void on_event(Manager& manager, const ManagerEvent& event);
  void on_installed(Manager& manager, const InstalledCertificate& certificate);
  void pause(Manager& manager, Duration duration);
  std::vector<std::size_t> in_progress(const Manager& manager) const;
  void disturb(const Manager& manager, const std::vector<std::size_t>& names, const std::string& what);
  void schedule();
  void stop_managers();
  void check_expired(std::size_t name, Time from, Time to);
  Intervals blocked(std::size_t ca) const;
  void check_end();
  std::vector<StoredItem> stored(const std::string& prefix);
  TimedResponse answer(const HttpRequest& request);
  std::optional<std::string> validate(const TestCaValidation& validation) const;
  std::string directory(std::size_t ca) const;

  template <class T>
  T drive(Flow<T> flow) {
    std::optional<T> result;
    const auto process = driver_.start<int>("the simulation", Duration(0), keep(std::move(flow), &result));
    for (int i = 0; i < 100 && !result; ++i) driver_.run_until(driver_.now() + milliseconds(i));
    if (!result) throw Error(Errc::deadline, "simulating managers", "the simulation's own flow did not end");
    return std::move(*result);
  }
  template <class T>
  static Flow<int> keep(Flow<T> flow, std::optional<T>* to) {
    T result = co_await std::move(flow);
    to->emplace(std::move(result));
    co_return 0;
  }

  Script script_;
  Dice dice_;
  ProcessDriver driver_{start};
  Monitor monitor_;
  std::optional<ScriptedCas> cas_;
  std::vector<std::unique_ptr<TestCa>> test_cas_;
  std::shared_ptr<Storage> base_;
  std::shared_ptr<Storage> shared_;  ///< With the bug, and watched.
  std::shared_ptr<StorageTruth> truth_;
  std::vector<std::unique_ptr<Manager>> managers_;
  std::vector<Name> names_;
  Intervals all_blocked_;  ///< No CA can help: storage is down, or the manager.
  bool is_stopping_ = false;
  std::set<std::size_t> stopped_;  ///< What was worked on when the managers were stopped.
  Outcome outcome_;
};

Simulation::Simulation(const Options& options)
    : script_(script_of(options)),
      dice_(options.seed ^ 0x5eed'5eed'5eed'5eedULL),
      monitor_(driver_, script_.options.names, options.checks),
      names_(script_.options.names) {
  const Options& chosen = script_.options;
  if (script_.real_engine) {
    for (std::size_t i = 0; i < chosen.cas; ++i) {
      TestCaOptions ca;
      ca.base_url = "https://ca" + std::to_string(i) + ".example";
      ca.seed = dice_.seed() | 1;
      ca.clock = [this] { return driver_.now(); };
      ca.validate = [this](const TestCaValidation& validation) { return validate(validation); };
      ca.certificate_lifetime = script_.lifetime();
      ca.faults = TestCaFaults::everything(static_cast<int>(dice_.number(6)));
      test_cas_.push_back(std::make_unique<TestCa>(std::move(ca)));
    }
    driver_.transport = [this](const HttpRequest& request) { return answer(request); };
  } else {
    cas_.emplace(driver_, monitor_, dice_.seed(), chosen.names, script_.cas);
    if (!script_.pauses.empty()) cas_->concurrency = minutes(7);
    cas_->emergency_per_hour = script_.emergency_per_hour;
    cas_->halves_retry_after = chosen.bug == Bug::halved_retry_after;
    if (chosen.bug == Bug::sleeping_job) {
      cas_->sleeps_in_job = [](unsigned failures) {
        return std::min(seconds(minutes(15)) * (1U << std::min(failures - 1, 6U)), seconds(hours(6)));
      };
    }
  }
  driver_.counts_waits = chosen.checks;
  driver_.most_asks_an_hour = chosen.checks ? 1'000 + 500 * chosen.names : 1'000'000 + 1'000 * chosen.names;
  make_storage();
  if (!script_.starts_empty) seed_storage();
  for (std::size_t i = 0; i < chosen.managers; ++i) {
    auto manager = std::make_unique<Manager>();
    manager->number = i;
    manager->dice = Dice(dice_.seed());
    StorageFaults faults;
    if (script_.storage_faults > 0) {
      faults = [this, random = Dice(dice_.seed())](const StorageCall& call) mutable {
        const bool happens = random.chance(script_.storage_faults);
        const StorageFault kind = random.one_of({StorageFault::lost_before, StorageFault::lost_after,
                                                 StorageFault::lost_after, StorageFault::conflict, StorageFault::slow});
        if (!happens || is_stopping_) return StorageFault::none;
        const std::size_t name = number_of_key(call.key);
        if (name != Monitor::nobody) monitor_.disturb(name, std::string(call.operation) + " of " + call.key + " fails");
        return kind;
      };
    }
    manager->faulty = std::make_shared<FaultyStorage>(with_own_bug(shared_, chosen.bug, i), std::move(faults));
    manager->storage = manager->faulty;
    if (script_.storage_delay > milliseconds(0)) {
      manager->storage = std::make_shared<SlowStorage>(manager->faulty, dice_.seed(), script_.storage_delay);
    }
    managers_.push_back(std::move(manager));
  }
}

std::string Simulation::directory(std::size_t ca) const {
  return script_.real_engine ? test_cas_[ca]->directory_url() : ScriptedCas::directory(ca);
}

void Simulation::make_storage() {
  base_ = memory_storage();
  shared_ = with_bug(base_, script_.options.bug);
  if (!script_.options.checks) return;
  truth_ = std::make_shared<StorageTruth>(driver_, monitor_, cas_ ? &*cas_ : nullptr);
  shared_ = std::make_shared<WatchedStorage>(shared_, truth_);
}

/// Certificates of different ages; the older ones are due soon.
void Simulation::seed_storage() {
  std::vector<Write> writes;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const bool is_long = script_.options.lifetime > 10 * day;
    const seconds youngest = script_.options.days * day < static_cast<double>(script_.options.lifetime) / 2
                                 ? script_.lifetime() * (is_long ? 52 : 30) / 100
                                 : seconds(60);
    const seconds age = dice_.between(youngest, script_.lifetime() * (is_long ? 60 : 40) / 100);
    const std::size_t serial = cas_->seed_certificate(i, age);
    const ScriptedCas::Issued& issued = cas_->issued(serial);
    const std::string name = name_of(i);
    Generation generation;
    generation.key_pem = cas_->key_pem(issued.key);
    generation.chain_pem = cas_->chain_text(serial);
    CertificateRecord record;
    record.live = record.last_generation = 1;
    record.names.push_back(name);
    record.key_type = "ec:P-256";
    record.server = directory(0);
    record.not_before = issued.not_before;
    record.not_after = issued.not_after;
    record.certificate_id = cas_->certificate_id_of(serial);
    record.dice = dice_.share();
    writes.emplace_back(generation_key(name, 1), encode(generation));
    writes.emplace_back(certificate_record_key(name), encode(record));
    if (writes.size() < 200 && i + 1 < names_.size()) continue;
    Result<std::vector<Revision>> written = drive(shared_->write(std::exchange(writes, {})));
    if (!written) throw written.error();
  }
}

// ---- Managers ----

void Simulation::start_manager(Manager& manager) {
  const Options& chosen = script_.options;
  ManagerOptions options;
  options.storage = manager.storage;
  options.agree_tos = true;
  options.width = chosen.width;
  options.emergency_per_hour = chosen.bug == Bug::no_throttle ? 0 : script_.emergency_per_hour;
  options.owner = "manager " + std::to_string(manager.number);
  for (std::size_t i = 0; i < names_.size(); ++i) options.specs.emplace_back(std::vector<std::string>{name_of(i)});
  for (std::size_t i = 0; i < chosen.cas; ++i) {
    CaOptions ca;
    ca.directory = directory(i);
    if (!script_.real_engine) ca.limits = script_.cas[i].limits;
    options.cas.push_back(std::move(ca));
  }
  options.share_challenges = script_.real_engine;
  options.installed = [this, &manager](const InstalledCertificate& certificate) { on_installed(manager, certificate); };
  options.on_event = [this, &manager](const ManagerEvent& event) { on_event(manager, event); };
  Seams seams;
  seams.random = [random = Dice(manager.dice.seed())]() mutable { return random.share(); };
  // In large runs another manager always changes something: both would compare all revisions every few seconds.
  if (!script_.options.checks) seams.scan_pause = std::chrono::minutes(10);
  if (cas_) {
    seams.issue = [this, number = manager.number](std::string ca, IssueRequest request) {
      return cas_->issue(number, std::move(ca), std::move(request));
    };
    seams.renewal_info = [this, number = manager.number](std::string ca, std::string id) {
      return cas_->renewal_info(number, std::move(ca), std::move(id));
    };
  }
  // A crash without a new process: the execution alone is destroyed.
  if (!manager.core || manager.dice.chance(0.8)) {
    manager.core = std::make_shared<ManagerCore>(std::move(options), std::move(seams));
  }
  manager.process = driver_.start<Result<void>>("manager " + std::to_string(manager.number), manager.clock_error,
                                                manager.core->run());
  manager.process->on_end = [this, &manager] { manager_ended(manager); };
  if (script_.most_asks_alive > 0) manager.process->kill_at = 1 + manager.dice.number(script_.most_asks_alive);
}

void Simulation::manager_ended(Manager& manager) {
  if (!manager.process->was_killed) {
    if (!is_stopping_) monitor_.fail(Monitor::nobody, manager.process->name + " has ended");
    return;
  }
  ++outcome_.crashes;
  disturb(manager, in_progress(manager), "is killed");
  const Time again = driver_.now() + manager.dice.between(seconds(0), seconds(60));
  // Leases of the dead one end by themselves.
  all_blocked_.emplace_back(driver_.now(), again + seconds(60));
  driver_.at(again, [this, &manager] {
    if (is_stopping_) return;
    monitor_.note(Monitor::nobody, 901, "manager " + std::to_string(manager.number) + " is started again");
    start_manager(manager);
  });
}

void Simulation::on_event(Manager& manager, const ManagerEvent& event) {
  std::size_t name = Monitor::nobody;
  if (!event.id.empty()) name = number_of(event.id).value_or(Monitor::nobody);
  monitor_.note(name, 200 + static_cast<std::uint64_t>(event.kind),
                monitor_.keeps_history() ? "manager " + std::to_string(manager.number) + ": " + to_text(event) : "");
  if (event.kind == ManagerEvent::Kind::issuing && script_.pause_at_issuing > 0 &&
      manager.dice.chance(script_.pause_at_issuing)) {
    const Time soon = driver_.now() + milliseconds(manager.dice.number(8'000));
    driver_.at(
        soon, [this, &manager, duration = manager.dice.between(seconds(30), minutes(5))] { pause(manager, duration); });
  }
  if (event.kind == ManagerEvent::Kind::issuing && script_.crash_at_issuing > 0 && !is_stopping_ &&
      manager.dice.chance(script_.crash_at_issuing)) {
    manager.process->kill_at = manager.process->asks + 1 + manager.dice.number(40);
  }
}

void Simulation::on_installed(Manager&, const InstalledCertificate& certificate) {
  const std::size_t number = number_of(certificate.id).value_or(0);
  Name& name = names_[number];
  const Time now = driver_.now();
  if (!cas_) {
    const Certificate leaf = Certificate::from_pem(certificate.chain_pem);
    if (!leaf.matches(PrivateKey::from_pem(certificate.key_pem))) {
      monitor_.fail(number, "the key does not belong to the certificate that is installed");
    }
    if (name.expired_since != Time() && name.expired_since < now) {
      ++outcome_.expired;
      check_expired(number, name.expired_since, now);
    }
    name.expired_since = std::max(name.expired_since, leaf.not_after);
    return;
  }
  const std::optional<std::size_t> serial = cas_->serial_of(certificate.chain_pem);
  if (!serial || cas_->issued(*serial).name != number) {
    monitor_.fail(number, "a certificate for something else is installed");
    return;
  }
  const ScriptedCas::Issued& issued = cas_->issued(*serial);
  if (certificate.key_pem != cas_->key_pem(issued.key)) {
    monitor_.fail(number, "the key does not belong to the certificate that is installed");
  }
  if (name.serial == serial) return;
  if (name.serial && issued.not_after < cas_->issued(*name.serial).not_after) {
    // Another manager may have been quicker to install the newer one.
    if (script_.options.managers == 1) monitor_.fail(number, "an older certificate is installed");
    return;
  }
  if (name.serial && cas_->issued(*name.serial).not_after < now) {
    ++outcome_.expired;
    check_expired(number, cas_->issued(*name.serial).not_after, now);
  }
  name.serial = serial;
  name.installed_at = now;
}

// ---- What happens ----

void Simulation::pause(Manager& manager, Duration duration) {
  if (is_stopping_ || !manager.process || manager.process->has_ended) return;
  driver_.pause(manager.process, duration);
  const std::vector<std::size_t> names = in_progress(manager);
  disturb(manager, names, "stands still for " + in_days(duration));
  const Time end = driver_.now() + std::chrono::duration_cast<seconds>(duration);
  all_blocked_.emplace_back(driver_.now(), end);
  driver_.at(end, [this, &manager, names] { disturb(manager, names, "goes on"); });
}

/// The certificates that this manager works on.
std::vector<std::size_t> Simulation::in_progress(const Manager& manager) const {
  if (!cas_ || !truth_) return {Monitor::nobody};
  std::vector<std::size_t> names = truth_->held_by("manager " + std::to_string(manager.number));
  const std::vector<std::size_t> asked = cas_->asked_lately(manager.number);
  names.insert(names.end(), asked.begin(), asked.end());
  return names;
}

/// A crash or a pause explains what happens to the certificates that were worked on, and to no others.
void Simulation::disturb(const Manager& manager, const std::vector<std::size_t>& names, const std::string& what) {
  const std::string text = "manager " + std::to_string(manager.number) + " " + what;
  monitor_.note(Monitor::nobody, 902, text);
  for (const std::size_t name : names) monitor_.disturb(name, text);
}

void Simulation::schedule() {
  for (const Script::ClockStep& step : script_.clock_steps) {
    driver_.at(step.at, [this, step] {
      Manager& manager = *managers_[step.manager];
      manager.clock_error = step.error;
      if (manager.process) manager.process->clock_error = step.error;
      monitor_.step_clock("the clock of manager " + std::to_string(step.manager) + " is wrong by " +
                          std::to_string(std::chrono::duration_cast<minutes>(step.error).count()) + " min");
    });
  }
  for (const Script::Pause& each : script_.pauses) {
    driver_.at(each.at, [this, each] { pause(*managers_[each.manager], each.duration); });
  }
  for (const Interval& down : script_.storage_down) {
    all_blocked_.push_back(down);
    driver_.at(down.first, [this] {
      monitor_.disturb(Monitor::nobody, "storage is down");
      for (const auto& manager : managers_) manager->faulty->set_down(true);
    });
    driver_.at(down.second, [this] {
      monitor_.disturb(Monitor::nobody, "storage works again");
      for (const auto& manager : managers_) manager->faulty->set_down(false);
    });
  }
}

Outcome Simulation::run() {
  outcome_.options = script_.options;
  for (const auto& manager : managers_) start_manager(*manager);
  schedule();
  try {
    driver_.run_until(script_.end());
    stop_managers();
    check_end();
  } catch (const Error& error) {
    monitor_.fail(Monitor::nobody, error.what());
  }
  outcome_.failures = monitor_.failures();
  outcome_.failure_count = monitor_.failure_count();
  if (cas_) outcome_.cas = cas_->counts();
  outcome_.asks = driver_.asks();
  outcome_.hash = monitor_.hash();
  return outcome_;
}

void Simulation::stop_managers() {
  is_stopping_ = true;
  for (const auto& manager : managers_) {
    if (!manager->process || manager->process->has_ended) continue;
    for (const std::size_t name : in_progress(*manager)) stopped_.insert(name);
    for (const CertificateStatus& status : manager->core->status(driver_.now())) {
      if (const std::optional<std::size_t> name = number_of(status.id); name && status.in_flight)
        stopped_.insert(*name);
    }
    manager->process->kill_at = 0;
    manager->process->paused_until = Duration(0);
    manager->core->stop();
  }
  // Events of a pause are delivered when it would have ended.
  driver_.run_until(driver_.now() + (script_.pauses.empty() ? seconds(2) : seconds(minutes(7))));
  for (const auto& manager : managers_) {
    if (manager->process && !manager->process->has_ended) {
      monitor_.fail(Monitor::nobody, manager->process->name + " does not end within 2 s of stop()");
    }
  }
}

// ---- What must hold ----

Intervals Simulation::blocked(std::size_t ca) const {
  Intervals blocked = all_blocked_;
  if (cas_) {
    const CaScript& script = cas_->script(ca);
    blocked.insert(blocked.end(), script.down.begin(), script.down.end());
    blocked.insert(blocked.end(), script.failing.begin(), script.failing.end());
    for (const Refusal& refusal : script.refusals) blocked.push_back(refusal.when);
    const Intervals dynamic = cas_->dynamic_blocks(ca);
    blocked.insert(blocked.end(), dynamic.begin(), dynamic.end());
  }
  return merged(std::move(blocked));
}

/// It was expired in that time: no CA may have been up for longer than the manager needs.
void Simulation::check_expired(std::size_t name, Time from, Time to) {
  const seconds grace = std::max<seconds>(minutes(15), script_.lifetime() / 6);
  for (std::size_t ca = 0; ca < script_.options.cas; ++ca) {
    Time up_since = start;
    Intervals times = blocked(ca);
    times.emplace_back(Time::max(), Time::max());
    for (const Interval& down : times) {
      const Time missed = std::max(from, up_since + grace);
      if (missed < std::min(down.first, to)) {
        monitor_.fail(name, "it is expired since " + in_days(from - start) + ", although CA " + std::to_string(ca) +
                                " is up since " + in_days(up_since - start));
        return;
      }
      up_since = down.second;
    }
  }
}

std::vector<StoredItem> Simulation::stored(const std::string& prefix) {
  std::vector<StoredItem> all;
  std::string after;
  for (;;) {
    Result<std::vector<StoredItem>> page = drive(base_->list(prefix, after, 1000, true));
    if (!page) throw page.error();
    all.insert(all.end(), page->begin(), page->end());
    if (page->size() < 1000) return all;
    after = page->back().key;
  }
}

void Simulation::check_end() {
  const Time now = driver_.now();
  // A manager that stops waits for less than a second until its leases are released.
  const bool is_slow = script_.storage_delay > milliseconds(300);
  if (truth_) truth_->check_end(is_slow ? stopped_ : std::set<std::size_t>());
  for (const StoredItem& item : stored("challenges/")) {
    if (outcome_.crashes == 0 && script_.storage_faults == 0) monitor_.fail(Monitor::nobody, item.key + " is left");
  }
  for (const StoredItem& item : stored("rates/")) {
    outcome_.stored_octets += item.stored.value.size();
    if (item.stored.value.size() > 500'000)
      monitor_.fail(Monitor::nobody, item.key + " has grown beyond 500,000 octets");
  }
  std::map<std::size_t, std::string> pending;
  std::map<std::size_t, std::size_t> generations;
  std::map<std::size_t, CertificateRecord> records;
  for (const StoredItem& item : stored("certificates/")) {
    const std::size_t name = number_of_key(item.key);
    if (name == Monitor::nobody || name >= names_.size()) {
      monitor_.fail(Monitor::nobody, item.key + " is not one of the certificates");
    } else if (item.key == certificate_record_key(name_of(name))) {
      Result<CertificateRecord> record = decode_certificate_record(item.stored.value);
      if (record) {
        records.emplace(name, std::move(*record));
      } else {
        monitor_.fail(name, record.error().what());
      }
    } else if (item.key == pending_order_key(name_of(name))) {
      pending.emplace(name, item.key);
    } else {
      ++generations[name];
    }
  }
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto record = records.find(i);
    const bool is_live = record != records.end() && record->second.live > 0 && record->second.not_after;
    if (is_live && *record->second.not_after < now) {
      ++outcome_.expired;
      check_expired(i, *record->second.not_after, now);
    }
    if (!is_live) check_expired(i, start, now);
    if (generations[i] > 2 && !monitor_.was_disturbed(i, start)) {
      monitor_.fail(i, std::to_string(generations[i]) + " generations are kept");
    }
    if (!pending.contains(i)) continue;
    // It is in order only while the last attempt has not succeeded.
    const bool failed = record != records.end() && std::ranges::any_of(record->second.attempts, [](const auto& each) {
                          return each.second.in_a_row > 0;
                        });
    const Time since = is_live ? *record->second.not_before : start;
    if (!failed && !stopped_.contains(i) && !monitor_.was_disturbed(i, since))
      monitor_.fail(i, "a pending order is left");
  }
}

// ---- The real engine ----

TimedResponse Simulation::answer(const HttpRequest& request) {
  for (std::size_t i = 0; i < test_cas_.size(); ++i) {
    if (!request.url.starts_with("https://ca" + std::to_string(i) + ".example/")) continue;
    TimedResponse response = test_cas_[i]->handle(request);
    response.after += milliseconds(20);
    return response;
  }
  return TimedResponse(Error(Errc::connection_failed, "sending a request", "no such host: " + request.url));
}

std::optional<std::string> Simulation::validate(const TestCaValidation& validation) const {
  for (const auto& manager : managers_) {
    if (!manager->core) continue;
    const auto found = manager->core->http01("/.well-known/acme-challenge/" + validation.token);
    if (found && *found == validation.key_authorization) return std::nullopt;
  }
  return "no server answers";
}

}  // namespace

Outcome simulate(const Options& options) {
  Simulation simulation(options);
  return simulation.run();
}

std::string command_of(const Options& options) {
  std::string command = "culmen_manager_simulation --first-seed " + std::to_string(options.seed) +
                        " --seeds 1 --world " + options.world + " --names " + std::to_string(options.names) +
                        " --lifetime " + std::to_string(options.lifetime) + " --days " + std::to_string(options.days) +
                        " --cas " + std::to_string(options.cas) + " --managers " + std::to_string(options.managers) +
                        " --width " + std::to_string(options.width);
  for (const auto& [name, bug] : bug_names) {
    if (bug == options.bug && bug != Bug::none) command += " --bug " + std::string(name);
  }
  return command;
}

}  // namespace culmen::simulation
