#include "deploy.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/program.hpp"
#include "culmen/storage.hpp"
#include "files.hpp"
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

void check_programs(const char* flag, const std::vector<std::string>& programs) {
  for (const std::string& program : programs) {
    if (const std::string why = obstacle_of_program(program); !why.empty())
      throw not_here(std::string(flag) + ": " + printable(program) + " cannot be run: " + why);
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

void run_hook(const std::string& doing, const ProgramRun& run, Output& output) {
  output.progress(run.words.front(), "running");
  try {
    run_program(doing, run, interrupt_token());
  } catch (...) {
    output.progress_ended(run.words.front());
    throw;
  }
  output.progress_ended(run.words.front());
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
      std::error_code none;
      const bool same = !path->empty() && flag < other_flag && !other->empty() &&
                        (*path == *other || fs::equivalent(*path, *other, none));
      if (same)
        throw usage(std::string(flag) + " and " + other_flag + " name the same file, " + *path,
                    "For key and chain in one file there is --combined.");
    }
  }
  if (!settings.key_group.empty()) (void)group_of(settings.key_group);
  check_programs("--deploy-hook", settings.deploy_hooks);
  check_programs("--pre-hook", settings.pre_hooks);
  check_programs("--post-hook", settings.post_hooks);
  check_programs("--on-failure", settings.failure_hooks);
  if (!settings.challenge.dns_hook.empty()) check_programs("--dns-hook", {settings.challenge.dns_hook});
}

fs::path system_hooks() { return "/etc/culmen/deploy.d"; }

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

fs::path Deployment::record_of(const std::string& id) const {
  return local_ / "deployed" / (storage_part(id) + ".json");
}

void Deployment::before_order(const HostSettings& settings) {
  const std::lock_guard lock(orders_mutex_);
  post_wanted_.insert(settings.post_hooks.begin(), settings.post_hooks.end());
  post_timeout_ = std::max(post_timeout_, settings.hook_timeout);
  for (const std::string& program : settings.pre_hooks) {
    if (pre_done_.contains(program)) continue;
    run_("running the pre-hook " + program, run_of(program, settings.hook_timeout));
    pre_done_.insert(program);  // one that failed keeps the other orders back, too
  }
}

void Deployment::put(const InstalledCertificate& certificate, const HostSettings& settings, const fs::path& live,
                     const std::string& cause) {
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
  if (is_done(change)) return;
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
bool Deployment::is_done(const Change& change) const {
  const std::optional<JsonObject> before = read_json(record_of(change.id));
  if (!before || before->text("serial") != change.serial) return false;
  if (!before->flag("hooks_failed")) return true;
  const std::chrono::system_clock::time_point tried(std::chrono::seconds(before->number("tried", std::int64_t{0})));
  const auto passed = std::chrono::system_clock::now() - tried;
  return passed >= std::chrono::seconds(0) && passed < retry_pause_;
}

Deployment::Batches Deployment::batches(const std::map<std::string, Change>& changes) const {
  Batches found;
  const std::vector<std::string> for_all = programs_in(hooks_folder_);
  for (const auto& [id, change] : changes) {
    for (const std::string& program : change.settings.deploy_hooks) found[program].push_back(&change);
    for (const std::string& program : for_all) found[program].push_back(&change);
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
  run.variables = {{"CULMEN_ID", joined(ids, " ")},
                   {"CULMEN_NAMES", joined(names, " ")},
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
  const std::lock_guard lock(orders_mutex_);
  std::map<std::string, std::string> failed;
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
    const std::lock_guard lock(mutex_);
    changed.swap(changes_);
    for (const auto& [id, change] : changed) running_[id] = change.serial;
  }
  std::map<std::string, std::string> failed;
  std::set<const Change*> incomplete;
  for (const auto& [program, changes] : batches(changed)) {
    try {
      run_batch(program, changes);
      std::vector<std::string> ids;
      for (const Change* change : changes) ids.push_back(printable(change->id));
      output_.say_of(changes.size() == 1 ? changes.front()->id : std::string(), "hook_ran",
                     "Ran " + program + " for " + joined(ids, ", "));
    } catch (const Error& error) {
      failed[program] = error.detail();
      incomplete.insert(changes.begin(), changes.end());
    }
  }
  for (const auto& [id, change] : changed) {
    const fs::path file = record_of(id);
    make_private_folder(local_);
    make_private_folder(file.parent_path());
    JsonObject record;
    record.set("format", 1);
    record.set("serial", change.serial);
    if (incomplete.contains(&change)) {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      record.set("hooks_failed", true);
      record.set("tried", std::int64_t{std::chrono::duration_cast<std::chrono::seconds>(now).count()});
    }
    write_json(file, record);
  }
  const std::lock_guard lock(mutex_);
  running_.clear();
  return failed;
}

}  // namespace culmen::cli
