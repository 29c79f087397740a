#include "deploy.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <utility>

#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/program.hpp"
#include "culmen/storage.hpp"
#include "files.hpp"
#include "hook_variable.hpp"
#include "interrupt.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

constexpr unsigned chain_mode = 0644, key_mode = 0600;
// Changes that come together make one batch.
constexpr std::chrono::seconds batch_pause(3), longest_batch_wait(60);
// A web server that a pre-hook stopped has to be started also when the program is told to end.
constexpr std::chrono::seconds post_hooks_after_cancel(30);
constexpr std::chrono::milliseconds lock_pause(50);
/// For hooks: the process that runs them.
constexpr const char* hook_of = "CULMEN_HOOK_OF";

Failure usage(const std::string& what, const std::string& advice = {}) {
  return Failure(exit_usage, "invalid_argument", what, advice);
}

/// What is not as the command line says, on this machine.
Failure not_here(const std::string& what, const std::string& advice = {}) {
  return Failure(exit_failed, "not_found", what, advice);
}

unsigned mode_of(const std::string& text) {
  unsigned mode = 0;
  std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  return mode;
}

gid_t group_of(const std::string& text) {
  if (const group* found = getgrnam(text.c_str())) return found->gr_gid;
  gid_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc() && end == text.data() + text.size()) return number;
  throw not_here("--key-group: there is no group \"" + printable(text) + "\" on this machine",
                 "Create it with groupadd, or use another group.");
}

/// How files with the key are to be, as far as the settings say.
FileAccess access_of(const HostSettings& settings) {
  FileAccess access;
  if (!settings.key_mode.empty()) access.mode = mode_of(settings.key_mode);
  if (!settings.key_group.empty()) access.group = group_of(settings.key_group);
  return access;
}

void check_output(const std::string& flag, const std::string& path) {
  if (path.empty() || (flag == "--out" && is_standard_output(path))) return;
  std::error_code failed;
  const fs::path folder = fs::path(path).parent_path();
  const fs::file_status status = fs::status(path, failed);
  if (fs::is_directory(status)) throw usage(flag + ": " + path + " is a folder", "Name a file in it.");
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw usage(flag + ": " + path + " is not a regular file", "Name another file: it is replaced at each renewal.");
  if (!fs::is_directory(folder, failed))
    throw not_here(flag + ": there is no folder " + folder.string(), "Make it first: mkdir -p " + folder.string());
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw Failure(exit_failed, "io_failed", flag + ": this user cannot write to the folder " + folder.string(),
                  "Change its mode or owner, name another file, or run culmen as another user.");
  }
}

/// Before anything is asked of a CA. root may give files to any group.
void check_group(const std::string& text) {
  const gid_t group = group_of(text);
  if (geteuid() == 0 || getegid() == group) return;
  std::vector<gid_t> own(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(own.size()), own.data());
  own.resize(static_cast<std::size_t>(std::max(count, 0)));
  if (std::find(own.begin(), own.end(), group) != own.end()) return;
  throw Failure(
      exit_failed, "io_failed",
      "--key-group: this user is not a member of the group " + printable(text) + ", so it cannot give files to it",
      "Add the user to the group, or run culmen as root.");
}

void check_programs(const char* flag, const std::vector<std::string>& programs) {
  for (const std::string& program : programs) {
    const std::string why = obstacle_of_program(program);
    if (why.empty()) continue;
    throw not_here(std::string(flag) + ": " + printable(program) + " cannot be run: " + why,
                   program.find(' ') == std::string::npos
                       ? ""
                       : "Hooks are programs without arguments: put the command into a script, and name that.");
  }
}

std::string joined(const std::vector<std::string>& texts, const char* separator) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : separator) + text;
  return out;
}

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

void run_hook(const std::string& doing, ProgramRun run, Output& output) {
  run.variables.emplace_back(hook_of, std::to_string(getpid()));
  output.progress(run.words.front(), "running");
  std::string said;
  try {
    said = run_program(doing, run, interrupt_token());
  } catch (...) {
    output.progress_ended(run.words.front());
    throw;
  }
  output.progress_ended(run.words.front());
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);) output.log("  " + printable(line, 1000));
}

fs::path record_in(const fs::path& local, const std::string& id) {
  return local / "deployed" / (storage_part(id) + ".json");
}

std::int64_t seconds_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

/// What failed, by program, as remember() wrote it.
std::map<std::string, std::string> failures_in(const JsonObject& record) {
  std::map<std::string, std::string> failed;
  const std::vector<std::string> programs = record.texts("failed"), errors = record.texts("errors");
  for (std::size_t i = 0; i < std::min(programs.size(), errors.size()); ++i) failed[programs[i]] = errors[i];
  return failed;
}

ProgramRun run_of(const std::string& program, int time_limit) {
  ProgramRun run;
  run.words = {program};
  run.time_limit = std::chrono::seconds(time_limit);
  return run;
}

}  // namespace

void check_outputs(const HostSettings& settings) {
  check_output("--out", settings.out);
  if (!settings.cert_key_is_input) check_output("--cert-key", settings.cert_key);
  check_output("--combined", settings.combined);
  const std::pair<const char*, const std::string*> outputs[] = {
      {"--out", &settings.out}, {"--cert-key", &settings.cert_key}, {"--combined", &settings.combined}};
  for (const auto& [flag, path] : outputs) {
    for (const auto& [other_flag, other] : outputs) {
      const bool same = flag < other_flag && !path->empty() && !other->empty() && resolved(*path) == resolved(*other);
      if (same)
        throw usage(std::string(flag) + " and " + other_flag + " name the same file, " + *path,
                    "For key and chain in one file there is --combined.");
    }
  }
  for (const std::string& path : written_files(settings)) {
    for (const std::string& other : read_files(settings)) {
      if (resolved(path) == resolved(other))
        throw usage(path + " would be overwritten, and the same certificate needs it as " + other,
                    "Name another file for the output.");
    }
  }
  if (!settings.key_group.empty()) check_group(settings.key_group);
  check_webroot(settings);
  check_programs("--deploy-hook", settings.deploy_hooks);
  check_programs("--pre-hook", settings.pre_hooks);
  check_programs("--post-hook", settings.post_hooks);
  check_programs("--on-failure", settings.failure_hooks);
  if (!settings.challenge.dns_hook.empty()) check_programs("--dns-hook", {settings.challenge.dns_hook});
}

void check_webroot(const HostSettings& settings) {
  std::error_code failed;
  if (settings.files_only || settings.webroot.empty() || fs::is_directory(settings.webroot, failed)) return;
  throw Failure(exit_failed, "not_found", "--webroot: there is no folder " + settings.webroot,
                "Create it, or name the folder that the web server serves.");
}

void withdraw_access(const HostSettings& before, const HostSettings& after, const fs::path& live) {
  FileAccess access;
  if (!before.key_mode.empty() && after.key_mode.empty()) access.mode = key_mode;
  if (!before.key_group.empty() && after.key_group.empty()) {
    access.group = getegid();
    access.mode = after.key_mode.empty() ? key_mode : mode_of(after.key_mode);
  }
  if (access == FileAccess()) return;
  std::error_code failed;
  if (fs::exists(live, failed)) set_access(live, live.parent_path().parent_path().parent_path(), access);
  for (const std::string& path : {after.cert_key_is_input ? std::string() : after.cert_key, after.combined}) {
    if (const auto contents = path.empty() ? std::nullopt : read_file(path)) {
      (void)replace_file(path, *contents, key_mode, access);
    }
  }
}

fs::path system_hooks() { return "/etc/culmen/deploy.d"; }

std::vector<PendingHook> pending_hooks(const fs::path& local, const fs::path& hooks_folder,
                                       const HostSettings& settings, const std::string& id, const std::string& serial) {
  const std::optional<JsonObject> record = read_json(record_in(local, id));
  const bool has_run = record && record->text("serial") == serial;
  if (has_run && !record->flag("hooks_failed")) return {};
  std::vector<PendingHook> pending;
  const std::map<std::string, std::string> failed =
      has_run ? failures_in(*record) : std::map<std::string, std::string>();
  for (const std::string& program : deploy_programs(settings, hooks_folder)) {
    PendingHook hook;
    hook.program = program;
    if (has_run) {
      const auto found = failed.find(program);
      if (found == failed.end() && !failed.empty()) continue;
      hook.error = found == failed.end() ? "it failed" : found->second;
      hook.tries = record->number("tries", 1);
      const std::int64_t since = record->number("since", record->number("tried", std::int64_t{0}));
      hook.since = std::chrono::system_clock::time_point(std::chrono::seconds(since));
    }
    pending.push_back(std::move(hook));
  }
  return pending;
}

std::vector<std::string> deploy_programs(const HostSettings& settings, const fs::path& hooks_folder) {
  std::vector<std::string> programs = settings.deploy_hooks;
  for (std::string& program : programs_in(hooks_folder)) {
    if (std::find(programs.begin(), programs.end(), program) == programs.end()) programs.push_back(std::move(program));
  }
  return programs;
}

std::string to_text(const PendingHook& hook) {
  if (hook.error.empty()) return printable(hook.program) + " has not run for this certificate";
  const std::string times = hook.tries == 1 ? "once, on " : std::to_string(hook.tries) + " times since ";
  return printable(hook.program) + " failed (" + times + time_text(hook.since.value()) +
         "): " + printable(hook.error, 2000);
}

std::vector<JsonObject> to_json(const std::vector<PendingHook>& hooks) {
  std::vector<JsonObject> objects;
  for (const PendingHook& hook : hooks) {
    JsonObject object;
    object.set("program", printable(hook.program));
    object.set("tries", hook.tries);
    if (hook.since) object.set("since", time_text(*hook.since));
    if (!hook.error.empty()) object.set("error", printable(hook.error, 2000));
    objects.push_back(std::move(object));
  }
  return objects;
}

Deployment::Deployment(fs::path local, fs::path hooks_folder, std::chrono::seconds retry_pause, Output& output,
                       ProgramRunner runner)
    : local_(std::move(local)),
      hooks_folder_(std::move(hooks_folder)),
      retry_pause_(retry_pause),
      output_(output),
      run_(std::move(runner)) {
  if (run_) return;
  run_ = [&output](const std::string& doing, const ProgramRun& run) { run_hook(doing, run, output); };
}

std::optional<ProcessLock> lock_hooks(const fs::path& local, std::chrono::seconds after_cancel, Output& output) {
  make_private_folder(local);
  const fs::path file = local / "hooks.lock";
  std::optional<std::chrono::steady_clock::time_point> give_up;
  for (;;) {
    if (std::optional<ProcessLock> lock = ProcessLock::take(file)) {
      output.progress_ended("hooks");
      return lock;
    }
    const auto now = std::chrono::steady_clock::now();
    if (!give_up && interrupted()) give_up = now + after_cancel;
    if (give_up && now >= *give_up) return std::nullopt;
    const pid_t holder = ProcessLock::holder(file);
    const char* const parent = std::getenv(hook_of);
    if (parent && parent == std::to_string(holder)) {
      throw Error(Errc::held, "running hooks",
                  "this culmen was started by a hook, and process " + std::to_string(holder) +
                      " waits for that hook to end; start it after that");
    }
    output.progress("hooks", "waiting for those that process " + std::to_string(holder) + " runs");
    std::this_thread::sleep_for(lock_pause);
  }
}

void Deployment::before_order(const HostSettings& settings) {
  const std::lock_guard guard(orders_mutex_);
  post_wanted_.insert(settings.post_hooks.begin(), settings.post_hooks.end());
  post_timeout_ = std::max(post_timeout_, settings.hook_timeout);
  std::optional<ProcessLock> lock;
  for (const std::string& program : settings.pre_hooks) {
    if (pre_done_.contains(program)) continue;
    if (!lock) lock = lock_hooks(local_, std::chrono::seconds(0), output_);
    run_("running the pre-hook " + program, run_of(program, settings.hook_timeout));
    pre_done_.insert(program);  // one that failed keeps the other orders back, too
  }
}

void Deployment::put(const InstalledCertificate& certificate, const HostSettings& settings, const fs::path& live,
                     const std::string& cause, Hooks hooks) {
  const std::lock_guard lock(mutex_);
  const FileAccess access = access_of(settings);
  const auto copy = [&](const std::string& path, const std::string& contents, unsigned mode, const FileAccess& wanted) {
    if (path.empty()) return;
    if (replace_file(path, contents, mode, wanted)) output_.say_of(certificate.id, "output_written", "Wrote " + path);
  };
  if (is_standard_output(settings.out)) {
    output_.print(certificate.chain_pem);
  } else {
    copy(settings.out, certificate.chain_pem, chain_mode, FileAccess());
  }
  if (!settings.cert_key_is_input) copy(settings.cert_key, certificate.key_pem, key_mode, access);
  copy(settings.combined, certificate.key_pem + certificate.chain_pem, key_mode, access);
  if (access != FileAccess()) {
    // live/ is in certificates/<id>/, below the folder of the storage.
    set_access(live, live.parent_path().parent_path().parent_path(), access);
  }

  const Certificate leaf = Certificate::from_pem(certificate.chain_pem);
  Change change;
  change.id = certificate.id;
  change.serial = serial_text(leaf.serial);
  if (hooks == Hooks::if_changed && is_done(change)) return;
  change.hooks = hooks;
  change.cause = cause.empty() ? "installed" : cause;
  for (const Identifier& identifier : leaf.identifiers) change.names.push_back(identifier.value);
  change.live = live;
  change.settings = settings;
  if (const std::optional<JsonObject> record = read_json(record_in(local_, change.id)))
    change.record = record->serialized();
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
bool Deployment::is_done(const Change& change) const {
  const std::optional<JsonObject> before = read_json(record_in(local_, change.id));
  if (!before || before->text("serial") != change.serial) return false;
  if (!before->flag("hooks_failed")) return true;
  const std::chrono::system_clock::time_point tried(std::chrono::seconds(before->number("tried", std::int64_t{0})));
  const auto passed = std::chrono::system_clock::now() - tried;
  return passed >= std::chrono::seconds(0) && passed < retry_pause_;
}

/// Whether another process ran its hooks since put(); what failed there failed.
bool Deployment::was_done_meanwhile(const Change& change, std::map<std::string, std::string>& failed) const {
  if (change.hooks == Hooks::again) return false;
  const std::optional<JsonObject> now = read_json(record_in(local_, change.id));
  if (!now || now->serialized() == change.record || now->text("serial") != change.serial) return false;
  failed.merge(failures_in(*now));
  return true;
}

/// `failed`: all hooks that failed in this run, by program.
void Deployment::remember(const Change& change, const std::map<std::string, std::string>& failed) const {
  const fs::path file = record_in(local_, change.id);
  make_private_folder(local_);
  make_private_folder(file.parent_path());
  JsonObject record;
  record.set("format", 1);
  record.set("serial", change.serial);
  std::vector<std::string> programs, errors;
  for (const std::string& program : deploy_programs(change.settings, hooks_folder_)) {
    const auto found = failed.find(program);
    if (found == failed.end()) continue;
    programs.push_back(program);
    errors.push_back(printable(found->second, 2000));
  }
  if (!programs.empty()) {
    const std::int64_t now = seconds_now();
    JsonObject before = read_json(file).value_or(JsonObject());
    if (before.text("serial") != change.serial || !before.flag("hooks_failed")) before = JsonObject();
    record.set("hooks_failed", true);
    record.set("tried", now);
    record.set("since", before.number("since", now));
    record.set("tries", before.number("tries", 0) + 1);
    record.set("failed", programs);
    record.set("errors", errors);
  }
  write_json(file, record);
}

Deployment::Batches Deployment::batches(const std::map<std::string, Change>& changes) const {
  Batches found;
  for (const auto& [id, change] : changes) {
    for (const std::string& program : deploy_programs(change.settings, hooks_folder_))
      found[program].push_back(&change);
  }
  return found;
}

void Deployment::run_batch(const std::string& program, const std::vector<const Change*>& changes) const {
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
  run_("running the deploy hook " + program, run);
}

bool Deployment::has_orders() const {
  const std::unique_lock lock(orders_mutex_, std::try_to_lock);
  return lock.owns_lock() && (!pre_done_.empty() || !post_wanted_.empty());
}

std::optional<std::chrono::steady_clock::time_point> Deployment::hooks_at() const {
  const std::lock_guard lock(mutex_);
  if (changes_.empty()) return std::nullopt;
  return std::min(last_change_ + batch_pause, first_change_ + longest_batch_wait);
}

std::map<std::string, std::string> Deployment::after_orders() {
  const std::lock_guard guard(orders_mutex_);
  std::map<std::string, std::string> failed;
  std::optional<ProcessLock> lock;
  try {
    if (!post_wanted_.empty()) lock = lock_hooks(local_, post_hooks_after_cancel, output_);
  } catch (const Error& error) {
    // Without the lock rather than not at all: something may have been stopped.
    output_.warn(printable(error.what(), 2000));
  }
  for (const std::string& program : post_wanted_) {
    ProgramRun run = run_of(program, post_timeout_);
    run.after_cancel = std::min(run.time_limit, post_hooks_after_cancel);
    try {
      run_("running the post-hook " + program, run);
    } catch (const Error& error) {
      failed[program] = error.detail();
    }
  }
  post_wanted_.clear();
  pre_done_.clear();
  return failed;
}

std::map<std::string, std::string> Deployment::run_hooks() {
  std::map<std::string, Change> changed;
  {
    const std::lock_guard guard(mutex_);
    changed.swap(changes_);
    for (const auto& [id, change] : changed) running_[id] = change.serial;
  }
  std::map<std::string, std::string> failed;
  std::optional<ProcessLock> lock;
  if (!batches(changed).empty()) {
    lock = lock_hooks(local_, std::chrono::seconds(0), output_);
    if (!lock) {  // they stay to be run
      for (const auto& [program, changes] : batches(changed))
        failed[program] = "it did not run: interrupted while another culmen ran hooks";
      changed.clear();
    }
  }
  std::erase_if(changed, [&](const auto& entry) { return was_done_meanwhile(entry.second, failed); });
  std::map<std::string, std::string> failed_here;
  for (const auto& [program, changes] : batches(changed)) {
    try {
      run_batch(program, changes);
      std::vector<std::string> ids;
      for (const Change* change : changes) ids.push_back(printable(change->id));
      output_.say_of(changes.size() == 1 ? changes.front()->id : std::string(), "hook_ran",
                     "Ran " + program + " for " + joined(ids, ", "));
    } catch (const Error& error) {
      failed_here[program] = error.detail();
    }
  }
  for (const auto& [id, change] : changed) remember(change, failed_here);
  failed.merge(failed_here);
  const std::lock_guard guard(mutex_);
  running_.clear();
  return failed;
}

}  // namespace culmen::cli
