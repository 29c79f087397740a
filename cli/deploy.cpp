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

Failure usage(const std::string& what, const std::string& advice = {}) {
  return Failure(exit_usage, "invalid_argument", what, advice);
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
  throw usage("--key-group: there is no group \"" + printable(text) + "\" on this machine",
              "Make it with groupadd, or name another one.");
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
    throw usage(flag + ": there is no folder " + folder.string(), "Make it first: mkdir -p " + folder.string());
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw Failure(exit_failed, "io_failed", flag + ": this user cannot write to the folder " + folder.string(),
                  "Change its mode or owner, name another file, or run culmen as another user.");
  }
}

void check_programs(const char* flag, const std::vector<std::string>& programs) {
  for (const std::string& program : programs) {
    if (const std::string why = obstacle_of_program(program); !why.empty())
      throw usage(std::string(flag) + ": " + printable(program) + " cannot be run: " + why);
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

Deployment::Deployment(fs::path local, fs::path hooks_folder, Output& output)
    : local_(std::move(local)), hooks_folder_(std::move(hooks_folder)), output_(output) {}

fs::path Deployment::record_of(const std::string& id) const {
  return local_ / "deployed" / (storage_part(id) + ".json");
}

void Deployment::before_order(const HostSettings& settings) {
  const std::lock_guard lock(mutex_);
  post_wanted_.insert(settings.post_hooks.begin(), settings.post_hooks.end());
  post_timeout_ = std::max(post_timeout_, settings.hook_timeout);
  for (const std::string& program : settings.pre_hooks) {
    if (!pre_done_.insert(program).second) continue;
    run_program("running the pre-hook " + program, run_of(program, settings.hook_timeout), interrupt_token());
  }
}

void Deployment::put(const InstalledCertificate& certificate, const HostSettings& settings, const fs::path& live,
                     const std::string& cause) {
  const std::lock_guard lock(mutex_);
  const FileAccess access = access_of(settings);
  const auto copy = [&](const std::string& path, const std::string& contents, unsigned mode, const FileAccess& wanted) {
    if (path.empty()) return;
    if (replace_file(path, contents, mode, wanted)) output_.say("Wrote " + path);
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
  const std::optional<JsonObject> before = read_json(record_of(change.id));
  if (before && before->text("serial") == change.serial && !before->flag("hooks_failed")) return;
  change.cause = cause.empty() ? "installed" : cause;
  for (const Identifier& identifier : leaf.identifiers) change.names.push_back(identifier.value);
  change.live = live;
  change.settings = settings;
  changes_.push_back(std::move(change));
}

std::map<std::string, std::vector<const Deployment::Change*>> Deployment::batches() const {
  std::map<std::string, std::vector<const Change*>> found;
  const std::vector<std::string> for_all = programs_in(hooks_folder_);
  for (const Change& change : changes_) {
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
  run_program("running the deploy hook " + program, run, interrupt_token());
}

std::map<std::string, std::string> Deployment::run_hooks() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> failed;
  for (const std::string& program : post_wanted_) {
    try {
      run_program("running the post-hook " + program, run_of(program, post_timeout_), interrupt_token());
    } catch (const Error& error) {
      failed[program] = error.detail();
    }
  }
  std::set<const Change*> incomplete;
  for (const auto& [program, changes] : batches()) {
    try {
      run_batch(program, changes);
      output_.say("Ran " + program);
    } catch (const Error& error) {
      failed[program] = error.detail();
      incomplete.insert(changes.begin(), changes.end());
    }
  }
  for (const Change& change : changes_) {
    const fs::path file = record_of(change.id);
    make_private_folder(local_);
    make_private_folder(file.parent_path());
    JsonObject record;
    record.set("format", 1);
    record.set("serial", change.serial);
    if (incomplete.contains(&change)) record.set("hooks_failed", true);
    write_json(file, record);
  }
  changes_.clear();
  post_wanted_.clear();
  pre_done_.clear();
  return failed;
}

}  // namespace culmen::cli
