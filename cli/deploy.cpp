#include "deploy.hpp"

#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "command.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

std::string flag_of(std::string_view member) {
  static const std::map<std::string_view, std::string> flags = {
      {"out", "--out"},
      {"cert_key", "--cert-key"},
      {"combined", "--combined"},
      {"key_group", "--key-group"},
      {"deploy_hooks", "--deploy-hook"},
      {"pre_hooks", "--pre-hook"},
      {"post_hooks", "--post-hook"},
      {"failure_hooks", "--on-failure"},
  };
  return flags.at(member);
}

[[noreturn]] void fail_with(const DeploymentProblem& problem) {
  throw Failure(problem.code == Errc::invalid_argument ? exit_usage : exit_failed, std::string(to_string(problem.code)),
                problem.text, problem.advice);
}

void show_event(const DeploymentEvent& event, Output& output) {
  using Kind = DeploymentEvent::Kind;
  switch (event.kind) {
    case Kind::output_written: return output.say_of(event.id, "output_written", event.text);
    case Kind::hook_started: return output.progress(event.program, "running");
    case Kind::hook_said: return output.log("  " + event.text);
    case Kind::hook_ended: return output.progress_ended(event.program);
    case Kind::hook_ran: return output.say_of(event.id, "hook_ran", event.text);
    case Kind::hook_failed: {
      LogEntry entry(LogLevel::warning, event.text);
      entry.event = "hook_failed";
      entry.topic = entry.event + " " + event.program;
      return output.line(entry);
    }
    case Kind::waiting:
      return output.progress("hooks", "waiting for those that process " + std::to_string(event.process) + " runs");
    case Kind::waiting_ended: return output.progress_ended("hooks");
    case Kind::warning: return output.warn(event.text);
  }
}

}  // namespace

void check_outputs(const HostSettings& settings) {
  const std::vector<DeploymentProblem> problems =
      check_deployment(written_here(settings), read_files(settings), flag_of);
  if (!problems.empty()) fail_with(problems.front());
  check_webroot(settings);
  if (settings.challenge.dns_hook.empty()) return;
  if (const auto problem = check_program("--dns-hook", settings.challenge.dns_hook)) fail_with(*problem);
}

void check_output(const std::string& option, const std::string& file) {
  if (file.empty()) return;
  DeploymentSettings settings;
  settings.out = remembered_path(file).string();
  const auto problems = check_deployment(settings, {}, [&](std::string_view) { return option; });
  if (!problems.empty()) fail_with(problems.front());
}

void check_webroot(const HostSettings& settings) {
  std::error_code failed;
  if (settings.files_only || settings.webroot.empty() || fs::is_directory(settings.webroot, failed)) return;
  throw Failure(exit_failed, "not_found", "--webroot: there is no folder " + settings.webroot,
                "Create it, or name the folder that the web server serves.");
}

fs::path system_hooks() { return "/etc/culmen/deploy.d"; }

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

DeploymentOptions deployment_options(fs::path local, fs::path hooks_folder, std::chrono::seconds retry_pause,
                                     Output& output) {
  DeploymentOptions options;
  options.local = std::move(local);
  options.hooks_folder = std::move(hooks_folder);
  options.retry_pause = retry_pause;
  options.cancel = interrupt_token();
  options.on_event = [&output](const DeploymentEvent& event) { show_event(event, output); };
  return options;
}

void put(Deployment& deployment, const InstalledCertificate& certificate, const HostSettings& settings,
         const fs::path& live, const std::string& cause, Output& output) {
  if (is_standard_output(settings.out)) output.print(certificate.chain_pem);
  deployment.put(certificate, written_here(settings), live, cause);
}

}  // namespace culmen::cli
