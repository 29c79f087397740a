#include "deployment/hooks.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <thread>
#include <utility>

#include "culmen/error.hpp"
#include "storage/durable_files.hpp"

namespace culmen::deployment {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds lock_pause(50);
/// For hooks: the process that runs them.
constexpr const char* hook_of = "CULMEN_HOOK_OF";

fs::path lock_file(const DeploymentOptions& options) { return options.local / "hooks.lock"; }

/// Which file it is; nullopt: there is none.
std::optional<std::pair<dev_t, ino_t>> identity(const fs::path& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return std::nullopt;
  return std::pair(found.st_dev, found.st_ino);
}

/// Whether the folder, or what is always in it while hooks run, is still what it was.
class FolderWatch {
 public:
  explicit FolderWatch(const DeploymentOptions& options)
      : folder_(options.local), lock_(lock_file(options)), before_(identity(folder_)), lock_before_(identity(lock_)) {}
  /// Empty: nothing happened.
  std::string loss() const {
    const bool is_gone = (before_ && identity(folder_) != before_) || (lock_before_ && identity(lock_) != lock_before_);
    if (!is_gone) return {};
    return "the folder " + folder_.string() +
           " was removed or emptied while it ran, with this host's settings and the record of its hooks; keep the hook "
           "from doing that, and restore the folder from a backup";
  }

 private:
  fs::path folder_, lock_;
  std::optional<std::pair<dev_t, ino_t>> before_, lock_before_;
};

void run_and_show(const DeploymentOptions& options, const std::string& doing, ProgramRun run) {
  run.variables.emplace_back(hook_of, std::to_string(getpid()));
  DeploymentEvent event;
  event.program = run.words.front();
  event.kind = DeploymentEvent::Kind::hook_started;
  tell_event(options, event);
  event.kind = DeploymentEvent::Kind::hook_ended;
  std::string said;
  try {
    said = run_program(doing, run, options.cancel);
  } catch (...) {
    tell_event(options, event);
    throw;
  }
  tell_event(options, event);
  event.kind = DeploymentEvent::Kind::hook_said;
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);) {
    event.text = printable(line, 1000);
    tell_event(options, event);
  }
}

}  // namespace

void tell_event(const DeploymentOptions& options, DeploymentEvent event) {
  if (options.on_event) options.on_event(std::move(event));
}

std::string joined(const std::vector<std::string>& texts, std::string_view separator) {
  std::string out;
  for (const std::string& text : texts) {
    if (!out.empty()) out += separator;
    out += text;
  }
  return out;
}

std::optional<ProcessLock> lock_hooks(const DeploymentOptions& options, std::chrono::seconds after_cancel) {
  storage::make_store_folder(options.local);
  const fs::path file = lock_file(options);
  std::optional<std::chrono::steady_clock::time_point> give_up;
  DeploymentEvent event;
  event.kind = DeploymentEvent::Kind::waiting;
  bool waits = false;
  for (;;) {
    if (std::optional<ProcessLock> lock = ProcessLock::take(file)) {
      event.kind = DeploymentEvent::Kind::waiting_ended;
      if (waits) tell_event(options, event);
      return lock;
    }
    const auto now = std::chrono::steady_clock::now();
    if (!give_up && options.cancel.cancelled()) give_up = now + after_cancel;
    if (give_up && now >= *give_up) return std::nullopt;
    const int holder = ProcessLock::holder(file);
    const char* const parent = std::getenv(hook_of);
    if (parent && parent == std::to_string(holder)) {
      throw Error(Errc::held, "running hooks",
                  "this culmen was started by a hook, and process " + std::to_string(holder) +
                      " waits for that hook to end; start it after that");
    }
    if (!waits || event.process != holder) {
      event.process = holder;
      tell_event(options, event);
      waits = true;
    }
    std::this_thread::sleep_for(lock_pause);
  }
}

void run_hook(const DeploymentOptions& options, const std::string& doing, ProgramRun run) {
  const FolderWatch watch(options);
  try {
    if (options.run) {
      options.run(doing, run);
    } else {
      run_and_show(options, doing, std::move(run));
    }
  } catch (const Error& error) {
    const std::string loss = watch.loss();
    if (loss.empty()) throw;
    throw Error(error.code(), doing, error.detail() + "; " + loss);
  }
  if (const std::string loss = watch.loss(); !loss.empty()) throw Error(Errc::solver_failed, doing, loss);
}

}  // namespace culmen::deployment
