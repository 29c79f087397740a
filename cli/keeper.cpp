#include "keeper.hpp"

#include <algorithm>
#include <exception>
#include <future>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "account_flags.hpp"
#include "command.hpp"
#include "culmen/attempt.hpp"
#include "culmen/certificate.hpp"
#include "deploy.hpp"
#include "hint.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "progress_lines.hpp"
#include "solvers_on_demand.hpp"

namespace culmen::cli {

namespace {

/// Certificates that one manager can keep: the roots to trust and the account belong to a manager.
using Group = std::pair<std::string, std::string>;
using KeptPointer = std::shared_ptr<const Kept>;
using Groups = std::map<Group, std::vector<KeptPointer>>;

constexpr std::size_t groups_at_once = 8;
/// A hook that failed is tried again after this time by what runs all the time.
constexpr std::chrono::seconds running_hook_pause(600);

std::vector<std::string> directories_of(const std::vector<KeptPointer>& certificates) {
  std::vector<std::string> directories;
  for (const KeptPointer& kept : certificates) {
    for (const std::string& directory : kept->settings.spec.cas) {
      if (std::find(directories.begin(), directories.end(), directory) == directories.end())
        directories.push_back(directory);
    }
  }
  return directories;
}

std::vector<CertificateSpec> specs_of(const std::vector<KeptPointer>& certificates) {
  std::vector<CertificateSpec> specs;
  for (const KeptPointer& kept : certificates) specs.push_back(kept->settings.spec);
  return specs;
}

/// What managers ask and tell. Its functions are called on their threads.
class Keeper {
 public:
  /// `on_change`: empty for a single run.
  Keeper(const Host& host, const KeepOptions& options, Output& output, std::function<void()> on_change = {})
      : host_(host),
        options_(options),
        output_(output),
        on_change_(std::move(on_change)),
        deployment_(deployment_options(host.local_folder(),
                                       options.system_hooks ? system_hooks() : std::filesystem::path(),
                                       on_change_ ? running_hook_pause : std::chrono::seconds(0), output)),
        servers_(output) {}

  KeepResult once(std::vector<Kept> certificates);
  /// Replaces what is wanted.
  Groups want(std::vector<Kept> certificates);
  ManagerOptions options_of(const Group& group, const std::vector<KeptPointer>& certificates);
  void installed(const InstalledCertificate& certificate);
  Deployment& deployment() noexcept { return deployment_; }
  ServerSolvers& servers() noexcept { return servers_; }

 private:
  void take_files(const std::string& id);
  void keep_groups(const Groups& groups);
  void keep_group(const Group& group, const std::vector<KeptPointer>& certificates);
  void say_account(const Account& account);
  void prepare(Attempt& attempt);
  void say(const ManagerEvent& event);
  void say_of_single_run(const ManagerEvent& event);
  void say_of_service(const ManagerEvent& event);
  /// Of the spec with that id; nullptr: it is not wanted any more.
  KeptPointer kept(const std::string& spec_id) const;

  const Host& host_;
  const KeepOptions& options_;
  Output& output_;
  const std::function<void()> on_change_;
  Deployment deployment_;
  ServerSolvers servers_;
  mutable std::mutex mutex_;
  std::map<std::string, KeptPointer> by_spec_;   ///< By the id of the spec.
  std::map<std::string, std::string> spec_of_;   ///< By the id of the certificate.
  std::map<std::string, std::string> cause_of_;  ///< Of the certificates that were issued.
  bool several_ = false;
  std::set<std::string> accounts_said_;
  KeepResult result_;
};

Groups Keeper::want(std::vector<Kept> certificates) {
  const std::lock_guard lock(mutex_);
  several_ = certificates.size() > 1 || on_change_;
  by_spec_.clear();
  spec_of_.clear();
  Groups groups;
  for (Kept& one : certificates) {
    const auto kept = std::make_shared<const Kept>(std::move(one));
    const std::string id = id_of(kept->settings.spec);
    by_spec_[id] = kept;
    for (const std::string& each : certificate_ids(kept->settings.spec)) spec_of_[each] = id;
    if (kept->settings.host.files_only) continue;  // another host renews it
    groups[{kept->settings.host.server_ca, kept->settings.host.account_key}].push_back(kept);
  }
  return groups;
}

KeptPointer Keeper::kept(const std::string& spec_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_spec_.find(spec_id);
  return found == by_spec_.end() ? nullptr : found->second;
}

KeepResult Keeper::once(std::vector<Kept> certificates) {
  std::vector<std::string> without_manager;
  for (const Kept& kept : certificates) {
    if (!kept.settings.host.files_only) continue;
    for (std::string& id : certificate_ids(kept.settings.spec)) without_manager.push_back(std::move(id));
  }
  try {
    keep_groups(want(std::move(certificates)));
    for (const std::string& id : without_manager) take_files(id);
  } catch (...) {
    // What a pre-hook stopped has to be started again.
    for (const auto& [program, why] : deployment_.after_orders())
      output_.warn("the post-hook " + printable(program) + " failed: " + printable(why, 2000));
    throw;
  }
  result_.hooks_failed = deployment_.after_orders();
  result_.hooks_failed.merge(deployment_.run_hooks());
  return std::move(result_);
}

/// Side by side, so that a CA that does not answer does not hold up the others.
void Keeper::keep_groups(const Groups& groups) {
  std::mutex mutex;
  auto next = groups.begin();
  std::exception_ptr failed;
  const auto work = [&] {
    for (;;) {
      Groups::const_iterator group;
      {
        const std::lock_guard lock(mutex);
        if (next == groups.end() || failed) return;
        group = next++;
      }
      try {
        keep_group(group->first, group->second);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failed) failed = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (std::size_t i = 1; i < std::min(groups.size(), groups_at_once); ++i) workers.emplace_back(work);
    work();
  }
  if (failed) std::rethrow_exception(failed);
}

/// No manager: it would order when the certificate is due, and this host cannot prove the names.
void Keeper::take_files(const std::string& id) {
  const std::optional<culmen::StoredCertificate> found = host_.run(find_certificate(host_.storage(), id));
  if (!found) return;
  if (!found->damage.empty()) {
    result_.failed.insert_or_assign(id, Error(Errc::io_failed, "taking its files", found->damage.front()));
  } else if (!found->live) {
    output_.log(printable(id) + ": the host that renews it has not issued it yet");
  } else {
    installed(installed_from(*found));
  }
}

void Keeper::keep_group(const Group& group, const std::vector<KeptPointer>& certificates) {
  Manager manager(options_of(group, certificates));
  for (const KeptPointer& kept : certificates) {
    const std::string id = id_of(kept->settings.spec);
    if (!kept->force.empty()) manager.renew_now(id, kept->force).value();
    if (options_.retry_now) manager.retry_now(id).value();
  }
  output_.progress("", "asking the CA");
  RunSummary summary = manager.run_once(interrupt_token());
  // That an account has ended, or that the CA has forgotten it, shows only when it is used; the next attempt makes a
  // new one.
  std::vector<std::string> ended;
  for (const auto& [id, error] : summary.failed) {
    const bool is_deactivated = error.code() == Errc::unauthorized && error.problems().empty();
    const bool is_forgotten = error.code() == Errc::account_does_not_exist && error.http_status() != 0;
    if (is_forgotten || (is_deactivated && options_.account.agree_tos)) ended.push_back(id);
  }
  if (!ended.empty()) {
    for (const std::string& id : ended) manager.retry_now(id).value();
    const std::vector<std::string> issued = std::move(summary.issued);
    summary = manager.run_once(interrupt_token());
    summary.issued.insert(summary.issued.end(), issued.begin(), issued.end());
  }
  output_.progress_ended("");
  const std::lock_guard lock(mutex_);
  result_.issued.insert(result_.issued.end(), summary.issued.begin(), summary.issued.end());
  result_.held_elsewhere.insert(result_.held_elsewhere.end(), summary.held_elsewhere.begin(),
                                summary.held_elsewhere.end());
  result_.waiting.insert(summary.waiting.begin(), summary.waiting.end());
  result_.failed.insert(summary.failed.begin(), summary.failed.end());
}

ManagerOptions Keeper::options_of(const Group& group, const std::vector<KeptPointer>& certificates) {
  const auto& [server_ca, account_key] = group;
  ManagerOptions options;
  options.storage = host_.storage_with_account(account_key);
  options.owner = lease_owner();
  options.client = client_options(options_.connection, server_ca, output_);
  options.specs = specs_of(certificates);
  options.only_recorded = true;  // another culmen may delete or rename one at any time
  for (const std::string& directory : directories_of(certificates)) {
    CaOptions ca;
    ca.directory = directory;
    ca.account_key_type = options_.account.key_type;
    // Who agrees to the terms has said what a new account needs.
    ca.replace_deactivated_account = options_.account.agree_tos;
    ca.account_options = [this](const Directory& offered) { return account_options(options_.account, offered); };
    options.cas.push_back(std::move(ca));
  }
  options.prepare = [this](Attempt& attempt) { prepare(attempt); };
  options.installed = [this](const InstalledCertificate& certificate) { installed(certificate); };
  options.on_event = [this](const ManagerEvent& event) { say(event); };
  return options;
}

/// Once: that it was made, or which flags came too late for it.
void Keeper::say_account(const Account& account) {
  const std::string key_type = account.key.private_key().type();
  const std::lock_guard lock(mutex_);
  if (!accounts_said_.insert(account.url).second) return;
  if (account.created) {
    output_.say("Made an account: " + printable(account.url) +
                (!options_.account.key_type.empty() ? " (its key: " + key_type + ")" : ""));
    return;
  }
  if (!options_.account.key_type.empty() && key_type != options_.account.key_type) {
    output_.warn("--key-type is for the key of a new account, and there is one already, with a key of type " +
                 key_type + "; the certificate's key has --cert-key-type");
  }
  if (!options_.account.contacts.empty() && account.contacts != contact_urls(options_.account.contacts)) {
    output_.say("There is an account already, and its contacts stay as they are; to change them: " +
                hint("account update") + " …");
  }
}

void Keeper::prepare(Attempt& attempt) {
  const KeptPointer certificate = kept(id_of(attempt.spec));
  if (!certificate) throw Error(Errc::cancelled, "preparing the order", "the certificate is not wanted any more");
  const Settings& settings = certificate->settings;
  const HostSettings& host = settings.host;
  say_account(attempt.account);
  deployment_.before_order(host);
  IssueRequest& request = attempt.request;
  request.poll_deadline = std::min(request.poll_deadline, std::chrono::seconds(options_.connection.poll_timeout));
  attempt.solvers = {needs_no_server(settings.spec.challenge)
                         ? std::shared_ptr<ChallengeSolver>(
                               make_challenge_solver(settings.spec.challenge, host.challenge, attempt.directory,
                                                     attempt.account, request.identifiers, output_))
                         : servers_.at(settings.spec.challenge, host)};
  add_onion_flags(host.challenge, attempt.directory, request);
  request.ancestor_domains = ancestor_domains(host.ancestors, request.identifiers);
  if (const std::optional<PrivateKey> key = input_key(host)) {
    host_.warn_of_readable_key(host.cert_key);
    request.key = *key;
  }
  attempt.meta = meta_for_release_before(settings).serialized();
  const std::string title = several_ ? printable(attempt.id) + ": " : std::string();
  const LogLevel level = on_change_ ? LogLevel::debug : LogLevel::info;
  const auto lines = std::make_shared<ProgressLines>(output_, attempt.id, title, request.identifiers.size(), level);
  request.on_progress = [lines](const IssueProgress& progress) { lines->show(progress); };
}

void Keeper::say(const ManagerEvent& event) {
  using Kind = ManagerEvent::Kind;
  if (event.kind == Kind::issuing && !event.id.empty()) {
    output_.progress(event.id, "waiting for the CA");
    const std::lock_guard lock(mutex_);
    const std::string before = std::exchange(cause_of_[event.id], event.detail);
    if (!on_change_ && before == event.detail) return;  // the same attempt, with other names or a new account
  }
  if (event.kind == Kind::issued || event.kind == Kind::failed) output_.progress_ended(event.id);
  if (!on_change_) return say_of_single_run(event);
  say_of_service(event);
  on_change_();
}

void Keeper::say_of_single_run(const ManagerEvent& event) {
  using Kind = ManagerEvent::Kind;
  switch (event.kind) {
    case Kind::issuing: {
      const std::string verb = event.not_after ? "renewing" : "issuing";
      return output_.say_of(event.id, to_string(event.kind),
                            printable(event.id) + ": " + verb + ": " + printable(event.detail));
    }
    case Kind::warning:
    case Kind::lease_lost:
    case Kind::expired:
      return output_.say_of(event.id, to_string(event.kind),
                            (event.id.empty() ? "" : printable(event.id) + ": ") + printable(event.detail, 2000),
                            LogLevel::warning);
    default: return output_.log(to_text(event));
  }
}

void Keeper::say_of_service(const ManagerEvent& event) {
  using Kind = ManagerEvent::Kind;
  LogEntry entry(level_of(event.kind), to_text(event));
  entry.certificate = event.id;
  entry.event = to_string(event.kind);
  switch (event.kind) {
    case Kind::loaded:
    case Kind::installed: entry.level = LogLevel::debug; break;  // at each start, for each certificate
    case Kind::storage_failed:
    case Kind::storage_recovered: entry.topic = "storage"; break;
    case Kind::ca_closed:
    case Kind::ca_open: entry.topic = "CA " + event.ca; break;
    default:
      if (level_of(event.kind) != LogLevel::info) entry.topic = entry.event + " " + event.id;
  }
  output_.line(entry);
}

void Keeper::installed(const InstalledCertificate& certificate) {
  KeptPointer wanted;
  std::string cause;
  {
    const std::lock_guard lock(mutex_);
    const auto spec = spec_of_.find(certificate.id);
    if (spec == spec_of_.end()) return;
    wanted = by_spec_.at(spec->second);
    if (const auto found = cause_of_.find(certificate.id); found != cause_of_.end()) cause = found->second;
  }
  const auto failed = [&](const Error& error) {
    if (on_change_) {
      LogEntry entry(LogLevel::error, printable(error.while_doing(certificate.id).what(), 4000));
      entry.certificate = certificate.id;
      entry.event = "output_failed";
      entry.topic = entry.event + " " + certificate.id;
      output_.line(entry);
    } else {
      const std::lock_guard lock(mutex_);
      result_.not_written.insert_or_assign(certificate.id, error);
    }
  };
  try {
    host_.keep_files(certificate);
    put(deployment_, certificate, wanted->settings.host, host_.live_folder(certificate.id), cause, output_);
    if (on_change_) output_.settled("output_failed " + certificate.id);
  } catch (const Error& error) {
    failed(error);
  } catch (const Failure& failure) {
    failed(Error(Errc::io_failed, "", failure.message + " " + failure.advice));
  }
  if (on_change_) on_change_();
}

}  // namespace

int KeepResult::exit_code() const {
  int worst = exit_ok;
  const auto count = [&worst](int code) {
    if (code != exit_ok && (worst == exit_ok || worst == exit_temporary)) worst = code;
  };
  for (const auto& [id, error] : failed) count(exit_code_of(error));
  for (const auto& [id, error] : not_written) count(exit_code_of(error));
  if (!hooks_failed.empty()) count(exit_failed);
  if (!waiting.empty() || !held_elsewhere.empty()) count(exit_temporary);
  return worst;
}

namespace {

/// Lets a manager find that it is time to ask the CA when to renew.
void forget_next_check(const Host& host, const Kept& kept) {
  for (const std::string& id : certificate_ids(kept.settings.spec)) {
    if (!host.run(find_certificate(host.storage(), id))) continue;
    host.run(change_certificate(
        host.storage(), id,
        [](CertificateRecord& record) -> Result<void> {
          record.renewal.next_check.reset();
          return {};
        },
        host.lease()));
  }
}

}  // namespace

KeepResult keep_once(const Host& host, const std::vector<Kept>& certificates, const KeepOptions& options,
                     Output& output) {
  if (options.ask_again) {
    for (const Kept& kept : certificates) {
      if (!kept.settings.host.files_only) forget_next_check(host, kept);
    }
  }
  return Keeper(host, options, output).once(certificates);
}

KeepResult run_hooks_again(const Host& host, const std::vector<culmen::StoredCertificate>& certificates,
                           Output& output) {
  KeepResult result;
  Deployment deployment(deployment_options(host.local_folder(), system_hooks(), std::chrono::seconds(0), output));
  for (const culmen::StoredCertificate& certificate : certificates) {
    try {
      if (!certificate.damage.empty()) throw Error(Errc::io_failed, "running its hooks", certificate.damage.front());
      const std::optional<Settings> settings = host.settings(certificate);
      if (!certificate.live || !settings || deploy_programs(settings->host, system_hooks()).empty()) {
        output.say(printable(certificate.id) + ": " +
                   (certificate.live ? "it has no deploy hooks on this host" : "it was not issued yet"));
        continue;
      }
      const InstalledCertificate installed = installed_from(certificate);
      host.keep_files(installed);
      deployment.put(installed, settings->host, host.live_folder(certificate.id), "--run-hooks was given",
                     Deployment::Hooks::again);
    } catch (const Error& error) {
      result.not_written.insert_or_assign(certificate.id, error);
    }
  }
  result.hooks_failed = deployment.run_hooks();
  return result;
}

// ---- Running ----

namespace {

using HookFailures = std::map<std::string, std::string>;

struct RunningManager {
  explicit RunningManager(ManagerOptions options) : manager(std::move(options)) {}
  Manager manager;
  std::vector<CertificateSpec> specs;
  std::vector<std::string> directories;
};

}  // namespace

struct RunningKeeper::State {
  State(const Host& host, const KeepOptions& options, Output& output_, std::function<void()> on_change_)
      : output(output_), on_change(std::move(on_change_)), keeper(host, options, output, on_change) {}

  bool is_working() const;
  void force(Manager& manager, const std::vector<KeptPointer>& certificates);
  void say_hooks();

  Output& output;
  const std::function<void()> on_change;
  Keeper keeper;
  std::map<Group, RunningManager> managers;
  std::map<std::string, std::string> forced;  ///< Why, by id.
  std::future<HookFailures> hooks;
};

/// Once for each reason: each time would be a try before its time.
void RunningKeeper::State::force(Manager& manager, const std::vector<KeptPointer>& certificates) {
  for (const KeptPointer& kept : certificates) {
    std::string& before = forced[kept->id];
    if (kept->force != before && !kept->force.empty()) {
      const Result<void> asked = manager.renew_now(id_of(kept->settings.spec), kept->force);
      if (!asked) output.warn(printable(asked.error().what(), 4000));
    }
    before = kept->force;
  }
}

bool RunningKeeper::State::is_working() const {
  for (const auto& [group, running] : managers) {
    for (const CertificateStatus& status : running.manager.status()) {
      if (status.in_flight) return true;
    }
  }
  return false;
}

void RunningKeeper::State::say_hooks() {
  const auto say = [this](LogLevel level, const std::string& program, const std::string& text) {
    LogEntry entry(level, text);
    entry.event = "hook_failed";
    entry.topic = entry.event + " " + program;
    output.line(entry);
  };
  try {
    for (const auto& [program, why] : hooks.get()) {
      say(LogLevel::warning, program,
          "the hook " + printable(program) + " failed: " + printable(why, 2000) + "; it is tried again in " +
              duration_text(running_hook_pause));
    }
  } catch (const Error& error) {
    say(LogLevel::error, "", printable(error.while_doing("running hooks").what(), 4000));
  }
}

RunningKeeper::RunningKeeper(const Host& host, const KeepOptions& options, Output& output,
                             std::function<void()> on_change)
    : state_(std::make_unique<State>(host, options, output, std::move(on_change))) {}

RunningKeeper::~RunningKeeper() = default;

void RunningKeeper::keep(std::vector<Kept> certificates) {
  const Groups groups = state_->keeper.want(std::move(certificates));
  std::erase_if(state_->managers, [&](const auto& entry) { return !groups.contains(entry.first); });
  for (const auto& [group, members] : groups) {
    const std::vector<std::string> directories = directories_of(members);
    std::vector<CertificateSpec> specs = specs_of(members);
    const auto running = state_->managers.find(group);
    // How to get accounts at a CA is something that a manager is told once.
    if (running != state_->managers.end() && running->second.directories == directories) {
      if (running->second.specs != specs) running->second.manager.set_specs(specs);
      running->second.specs = std::move(specs);
      state_->force(running->second.manager, members);
      continue;
    }
    if (running != state_->managers.end()) state_->managers.erase(running);
    RunningManager& fresh =
        state_->managers.try_emplace(group, state_->keeper.options_of(group, members)).first->second;
    fresh.specs = std::move(specs);
    fresh.directories = directories;
    fresh.manager.start_thread();
    state_->force(fresh.manager, members);
  }
}

void RunningKeeper::write_outputs(const culmen::StoredCertificate& certificate) {
  if (!certificate.live) return;
  state_->keeper.installed(installed_from(certificate));
}

void RunningKeeper::tick() {
  State& state = *state_;
  const bool ports_closed = state.keeper.servers().close_unused();
  if (state.hooks.valid()) {
    if (state.hooks.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
    state.say_hooks();
  }
  Deployment& deployment = state.keeper.deployment();
  const bool orders_ended = ports_closed && deployment.has_orders() && !state.is_working();
  const auto hooks_at = deployment.hooks_at();
  const bool is_deployed = hooks_at && *hooks_at <= std::chrono::steady_clock::now();
  if (!orders_ended && !is_deployed) return;
  state.hooks = std::async(std::launch::async, [&state, &deployment, orders_ended, is_deployed] {
    HookFailures failed;
    if (orders_ended) failed = deployment.after_orders();
    if (is_deployed) failed.merge(deployment.run_hooks());
    state.on_change();
    return failed;
  });
}

std::optional<std::chrono::steady_clock::time_point> RunningKeeper::next_tick() const {
  const auto soon = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  Deployment& deployment = state_->keeper.deployment();
  if (state_->hooks.valid() || deployment.has_orders() || !state_->keeper.servers().close_unused()) return soon;
  return deployment.hooks_at();
}

void RunningKeeper::stop() {
  {
    std::vector<std::jthread> stopping;  // together: each may take its time
    for (auto& [group, running] : state_->managers)
      stopping.emplace_back([&manager = running.manager] { manager.stop(); });
  }
  if (state_->hooks.valid()) state_->say_hooks();
  state_->managers.clear();
  for (const auto& [program, why] : state_->keeper.deployment().after_orders())
    state_->output.warn("the post-hook " + printable(program) + " failed: " + printable(why, 2000));
}

void say_failures(const KeepResult& result, bool several, Output& output) {
  const auto named = [&](const std::string& id, const Error& error) {
    return several ? error.while_doing(printable(id)) : error;
  };
  for (const auto& [id, error] : result.failed) output.fail(named(id, error), id);
  for (const auto& [id, error] : result.not_written) output.fail(named(id, error), id);
  const auto warn = [&output](const std::string& id, const char* event, const std::string& text) {
    output.say_of(id, event, text, LogLevel::warning);
    output.reason(event, text);
  };
  for (const auto& [program, why] : result.hooks_failed) {
    warn({}, "hook_failed",
         "the hook " + printable(program) + " failed: " + printable(why, 2000) +
             "; it runs again at the next culmen renew");
  }
  for (const std::string& id : result.held_elsewhere)
    warn(id, "held", printable(id) + ": another culmen works on it; run the same command again when it is done");
  for (const auto& [id, why] : result.waiting) {
    const bool has_time = why.find("not before") != std::string::npos;
    warn(id, "not_now",
         printable(id) + ": not now: " + printable(why, 1000) +
             (has_time ? "; there is nothing to do until then" : "; run the same command again"));
  }
}

}  // namespace culmen::cli
