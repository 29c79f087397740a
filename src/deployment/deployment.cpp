#include "culmen/deployment.hpp"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

#include "base/hex.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "deployment/access.hpp"
#include "deployment/hook_records.hpp"
#include "deployment/hook_variable.hpp"
#include "deployment/hooks.hpp"

namespace culmen {

namespace fs = std::filesystem;
using namespace deployment;

namespace {

using Failures = std::map<std::string, std::string>;  // what failed, by program

// Changes that come together make one batch.
constexpr std::chrono::seconds batch_pause(3), longest_batch_wait(60);
// A web server that a pre-hook stopped has to be started also when the program is told to end.
constexpr std::chrono::seconds post_hooks_after_cancel(30);

std::vector<std::string> programs_in(const fs::path& folder) {
  std::vector<std::string> programs;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (entry->is_regular_file(failed) && access(entry->path().c_str(), X_OK) == 0)
      programs.push_back(entry->path().string());
  }
  std::sort(programs.begin(), programs.end());
  return programs;
}

std::int64_t seconds_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

/// As records have it: without the octet that only keeps the number positive in DER.
std::string serial_of(const Certificate& leaf) {
  const bool has_sign = leaf.serial.size() > 1 && leaf.serial.front() == 0;
  return base::hex_encode(ByteView(leaf.serial).subspan(has_sign ? 1 : 0));
}

ProgramRun run_of(const std::string& program, int time_limit) {
  ProgramRun run;
  run.words = {program};
  run.time_limit = std::chrono::seconds(time_limit);
  return run;
}

/// A certificate whose hooks have to run.
struct Change {
  Change() = default;
  std::string id, serial, cause;
  Deployment::Hooks hooks = Deployment::Hooks::if_changed;
  std::optional<HookRecord> record;  ///< Of that time.
  std::vector<std::string> names;
  fs::path live;
  DeploymentSettings settings;
};
using Changes = std::map<std::string, Change>;                      // by id
using Batches = std::map<std::string, std::vector<const Change*>>;  // by program

/// A file with the certificate beside those in storage.
struct Copy {
  std::string path, contents;
  bool has_key;
};

std::vector<Copy> copies_of(const InstalledCertificate& certificate, const DeploymentSettings& settings) {
  std::vector<Copy> copies = {
      {settings.out, certificate.chain_pem, false},
      {settings.cert_key_is_input ? std::string() : settings.cert_key, certificate.key_pem, true},
      {settings.combined, certificate.key_pem + certificate.chain_pem, true}};
  std::erase_if(copies, [](const Copy& copy) { return copy.path.empty(); });
  return copies;
}

}  // namespace

std::vector<std::string> deploy_programs(const DeploymentSettings& settings, const fs::path& hooks_folder) {
  std::vector<std::string> programs = settings.deploy_hooks;
  for (std::string& program : programs_in(hooks_folder)) {
    if (std::find(programs.begin(), programs.end(), program) == programs.end()) programs.push_back(std::move(program));
  }
  return programs;
}

std::vector<PendingHook> pending_hooks(const fs::path& local, const fs::path& hooks_folder,
                                       const DeploymentSettings& settings, const std::string& id,
                                       const std::string& serial) {
  const std::optional<HookRecord> record = read_hook_record(hook_record_file(local, id));
  const bool has_run = record && record->serial == serial;
  if (has_run && !record->hooks_failed) return {};
  std::vector<PendingHook> pending;
  for (const std::string& program : deploy_programs(settings, hooks_folder)) {
    PendingHook hook;
    hook.program = program;
    if (has_run) {
      const auto found = record->errors.find(recorded_name(program));
      if (found == record->errors.end() && !record->errors.empty()) continue;
      hook.error = found == record->errors.end() ? "it failed" : found->second;
      hook.tries = record->tries;
      hook.since = std::chrono::system_clock::time_point(std::chrono::seconds(record->since));
    }
    pending.push_back(std::move(hook));
  }
  return pending;
}

class Deployment::Impl {
 public:
  explicit Impl(DeploymentOptions options) : options_(std::move(options)) {}

  void before_order(const DeploymentSettings& settings);
  void put(const InstalledCertificate& certificate, const DeploymentSettings& settings, const fs::path& live,
           const std::string& cause, Hooks hooks);
  bool has_orders() const;
  std::optional<std::chrono::steady_clock::time_point> hooks_at() const;
  Failures after_orders();
  Failures run_hooks();

 private:
  void copy(const std::string& id, const std::string& path, const std::string& contents, unsigned mode,
            const FileAccess& access) const;
  bool is_done(const std::optional<HookRecord>& record, const std::string& serial) const;
  bool was_done_meanwhile(const Change& change, Failures& failed) const;
  void remember(const Change& change, const Failures& failed) const;
  Batches batches(const Changes& changes) const;
  void run_batch(const std::string& program, const std::vector<const Change*>& changes) const;
  Failures run_batches(Changes changes) const;
  fs::path record_file(const Change& change) const { return hook_record_file(options_.local, change.id); }

  const DeploymentOptions options_;
  mutable std::mutex orders_mutex_;  ///< An order waits while pre-hooks and post-hooks run.
  std::set<std::string> pre_done_, post_wanted_;
  int post_timeout_ = 0;
  mutable std::mutex mutex_;
  Changes changes_;
  std::map<std::string, std::string> running_;  ///< Hooks run for these: serial numbers by id.
  std::chrono::steady_clock::time_point first_change_, last_change_;
};

// ---- Around orders ----

void Deployment::Impl::before_order(const DeploymentSettings& settings) {
  const std::lock_guard guard(orders_mutex_);
  post_wanted_.insert(settings.post_hooks.begin(), settings.post_hooks.end());
  post_timeout_ = std::max(post_timeout_, settings.hook_timeout);
  std::optional<ProcessLock> lock;
  for (const std::string& program : settings.pre_hooks) {
    if (pre_done_.contains(program)) continue;
    if (!lock) lock = lock_hooks(options_, std::chrono::seconds(0));
    run_hook(options_, "running the pre-hook " + program, run_of(program, settings.hook_timeout));
    pre_done_.insert(program);  // one that failed keeps the other orders back, too
  }
}

bool Deployment::Impl::has_orders() const {
  const std::unique_lock lock(orders_mutex_, std::try_to_lock);
  return lock.owns_lock() && (!pre_done_.empty() || !post_wanted_.empty());
}

Failures Deployment::Impl::after_orders() {
  const std::lock_guard guard(orders_mutex_);
  Failures failed;
  std::optional<ProcessLock> lock;
  try {
    if (!post_wanted_.empty()) lock = lock_hooks(options_, post_hooks_after_cancel);
  } catch (const Error& error) {
    // Without the lock rather than not at all: something may have been stopped.
    DeploymentEvent event;
    event.text = printable(error.what(), 2000);
    tell_event(options_, std::move(event));
  }
  for (const std::string& program : post_wanted_) {
    ProgramRun run = run_of(program, post_timeout_);
    run.after_cancel = std::min(run.time_limit, post_hooks_after_cancel);
    try {
      run_hook(options_, "running the post-hook " + program, std::move(run));
    } catch (const Error& error) {
      failed[program] = error.detail();
    }
  }
  post_wanted_.clear();
  pre_done_.clear();
  return failed;
}

// ---- Copies ----

void Deployment::Impl::copy(const std::string& id, const std::string& path, const std::string& contents, unsigned mode,
                            const FileAccess& access) const {
  if (!replace_file(path, contents, mode, access)) return;
  DeploymentEvent event;
  event.kind = DeploymentEvent::Kind::output_written;
  event.id = id;
  event.text = "Wrote " + path;
  tell_event(options_, std::move(event));
}

void Deployment::Impl::put(const InstalledCertificate& certificate, const DeploymentSettings& settings,
                           const fs::path& live, const std::string& cause, Hooks hooks) {
  const std::lock_guard lock(mutex_);
  const FileAccess access = access_of(settings);
  for (const Copy& each : copies_of(certificate, settings)) {
    copy(certificate.id, each.path, each.contents, each.has_key ? key_mode : chain_mode,
         each.has_key ? access : FileAccess());
  }
  if (access != FileAccess()) set_live_access(live, access);

  const Certificate leaf = Certificate::from_pem(certificate.chain_pem);
  Change change;
  change.id = certificate.id;
  change.serial = serial_of(leaf);
  change.record = read_hook_record(record_file(change));
  if (hooks == Hooks::if_changed && is_done(change.record, change.serial)) return;
  change.hooks = hooks;
  change.cause = cause.empty() ? "installed" : cause;
  for (const Identifier& identifier : leaf.identifiers) change.names.push_back(identifier.value);
  change.live = live;
  change.settings = settings;
  const auto known = changes_.find(change.id);
  if (known != changes_.end() && known->second.serial == change.serial) return;
  const auto running = running_.find(change.id);
  if (running != running_.end() && running->second == change.serial) return;
  last_change_ = std::chrono::steady_clock::now();
  if (changes_.empty()) first_change_ = last_change_;
  const std::string id = change.id;
  changes_.insert_or_assign(id, std::move(change));
}

/// Whether hooks ran for it, or failed a short time ago.
bool Deployment::Impl::is_done(const std::optional<HookRecord>& record, const std::string& serial) const {
  if (!record || record->serial != serial) return false;
  if (!record->hooks_failed) return true;
  const std::chrono::seconds passed(seconds_now() - record->tried);
  return passed >= std::chrono::seconds(0) && passed < options_.retry_pause;
}

// ---- Deploy hooks ----

std::optional<std::chrono::steady_clock::time_point> Deployment::Impl::hooks_at() const {
  const std::lock_guard lock(mutex_);
  if (changes_.empty()) return std::nullopt;
  return std::min(last_change_ + batch_pause, first_change_ + longest_batch_wait);
}

/// Whether another process ran its hooks since put(); what failed there failed.
bool Deployment::Impl::was_done_meanwhile(const Change& change, Failures& failed) const {
  if (change.hooks == Hooks::again) return false;
  const std::optional<HookRecord> now = read_hook_record(record_file(change));
  if (!now || now == change.record || now->serial != change.serial) return false;
  failed.insert(now->errors.begin(), now->errors.end());
  return true;
}

/// `failed`: all hooks that failed in this run.
void Deployment::Impl::remember(const Change& change, const Failures& failed) const {
  HookRecord record;
  record.serial = change.serial;
  for (const std::string& program : deploy_programs(change.settings, options_.hooks_folder)) {
    const auto found = failed.find(program);
    if (found != failed.end()) record.errors[recorded_name(program)] = found->second;
  }
  record.hooks_failed = !record.errors.empty();
  if (record.hooks_failed) {
    // That of put() if it was lost meanwhile.
    std::optional<HookRecord> before = read_hook_record(record_file(change));
    if (!before) before = change.record;
    const bool failed_before = before && before->serial == change.serial && before->hooks_failed;
    record.tried = seconds_now();
    record.since = failed_before && before->since != 0 ? before->since : record.tried;
    record.tries = failed_before ? before->tries + 1 : 1;
  }
  write_record(record_file(change), record);
}

Batches Deployment::Impl::batches(const Changes& changes) const {
  Batches found;
  for (const auto& [id, change] : changes) {
    for (const std::string& program : deploy_programs(change.settings, options_.hooks_folder))
      found[program].push_back(&change);
  }
  return found;
}

void Deployment::Impl::run_batch(const std::string& program, const std::vector<const Change*>& changes) const {
  ProgramRun run = run_of(program, 1);
  std::vector<std::string> ids, names;
  for (const Change* change : changes) {
    run.time_limit = std::max(run.time_limit, std::chrono::seconds(change->settings.hook_timeout));
    ids.push_back(change->id);
    names.insert(names.end(), change->names.begin(), change->names.end());
    run.input += change->id + " " + joined(change->names, ",") + " " + (change->live / "fullchain.pem").string() + " " +
                 (change->live / "key.pem").string() + "\n";
  }
  const Change& first = *changes.front();
  run.variables = {{"CULMEN_ID", hook_variable(ids)},
                   {"CULMEN_NAMES", hook_variable(names)},
                   {"CULMEN_FULLCHAIN", (first.live / "fullchain.pem").string()},
                   {"CULMEN_KEY", (first.live / "key.pem").string()},
                   {"CULMEN_CAUSE", first.cause}};
  run_hook(options_, "running the deploy hook " + program, std::move(run));
  DeploymentEvent event;
  event.kind = DeploymentEvent::Kind::hook_ran;
  if (changes.size() == 1) event.id = first.id;
  event.program = program;
  for (std::string& id : ids) id = printable(id);
  event.text = "Ran " + program + " for " + joined(ids, ", ");
  tell_event(options_, std::move(event));
}

/// With the lock. What concerns one certificate keeps no other from its hooks.
Failures Deployment::Impl::run_batches(Changes changes) const {
  Failures failed, failed_here;
  const auto fails = [&](const Change& change, const std::string& why) {
    for (const std::string& program : deploy_programs(change.settings, options_.hooks_folder))
      failed.emplace(program, why);
  };
  std::erase_if(changes, [&](const auto& entry) {
    try {
      return was_done_meanwhile(entry.second, failed);
    } catch (const Error& error) {
      fails(entry.second, std::string("it did not run: ") + error.what());
      return true;
    }
  });
  for (const auto& [program, changed] : batches(changes)) {
    try {
      run_batch(program, changed);
    } catch (const Error& error) {
      failed_here[program] = error.detail();
    }
  }
  for (const auto& [id, change] : changes) {
    try {
      remember(change, failed_here);
    } catch (const Error& error) {
      for (const auto& [program, why] : failed_here) failed.emplace(program, why);
      fails(change, "it ran, and that could not be recorded: " + std::string(error.what()));
    }
  }
  for (const auto& [program, why] : failed_here) failed.insert_or_assign(program, why);
  return failed;
}

Failures Deployment::Impl::run_hooks() {
  Changes changed;
  {
    const std::lock_guard guard(mutex_);
    changed.swap(changes_);
    for (const auto& [id, change] : changed) running_[id] = change.serial;
  }
  const auto end = [this] {
    const std::lock_guard guard(mutex_);
    running_.clear();
  };
  Failures failed;
  const auto none_ran = [&](const std::string& why) {
    for (const auto& [program, changes] : batches(changed)) failed[program] = "it did not run: " + why;
    changed.clear();  // nothing was recorded: put() finds them again
  };
  std::optional<ProcessLock> lock;
  if (!batches(changed).empty()) {
    try {
      lock = lock_hooks(options_, std::chrono::seconds(0));
      if (!lock) none_ran("interrupted while another culmen ran hooks");
    } catch (const Error& error) {
      if (error.code() == Errc::held) {
        end();
        throw;
      }
      none_ran(error.what());
    }
  }
  failed.merge(run_batches(std::move(changed)));
  end();
  return failed;
}

std::vector<std::string> outdated_outputs(const InstalledCertificate& certificate, const DeploymentSettings& settings) {
  std::vector<std::string> outdated;
  for (const Copy& copy : copies_of(certificate, settings)) {
    try {
      if (read_file(copy.path) != copy.contents) outdated.push_back(copy.path);
    } catch (const Error& error) {
      if (error.system_code() != std::errc::permission_denied) throw;
    }
  }
  return outdated;
}

Deployment::Deployment(DeploymentOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Deployment::~Deployment() = default;

void Deployment::before_order(const DeploymentSettings& settings) { impl_->before_order(settings); }
void Deployment::put(const InstalledCertificate& certificate, const DeploymentSettings& settings, const fs::path& live,
                     const std::string& cause, Hooks hooks) {
  impl_->put(certificate, settings, live, cause, hooks);
}
bool Deployment::has_orders() const { return impl_->has_orders(); }
std::optional<std::chrono::steady_clock::time_point> Deployment::hooks_at() const { return impl_->hooks_at(); }
Failures Deployment::after_orders() { return impl_->after_orders(); }
Failures Deployment::run_hooks() { return impl_->run_hooks(); }

}  // namespace culmen
