// culmen check: what would keep a certificate from being issued, before anything is ordered.
#include <memory>
#include <vector>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/blocking/storage.hpp"
#include "culmen/checkup.hpp"
#include "deploy.hpp"
#include "host.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "settings.hpp"
#include "solvers_on_demand.hpp"
#include "tried_settings.hpp"

namespace culmen::cli {

namespace {

using Verdict = Finding::Verdict;

struct CheckFlags {
  CheckFlags() = default;
  StateFlags state;
  ConnectionFlags connection;
  SettingFlags settings;
  std::string name;
  int from_here = 0;
  std::vector<std::string> dns_servers;
  std::uint16_t public_port = 80;
};

const char* verdict_mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::good: return "ok    ";
    case Verdict::note: return "note  ";
    case Verdict::machine:
    case Verdict::refused: return "WRONG ";
    case Verdict::temporary: return "wait  ";
  }
  return "";
}

int exit_code_for(Verdict verdict) {
  switch (verdict) {
    case Verdict::good:
    case Verdict::note: return exit_ok;
    case Verdict::machine: return exit_failed;
    case Verdict::temporary: return exit_temporary;
    case Verdict::refused: return exit_refused;
  }
  return exit_failed;
}

void say_finding(const Finding& finding, Output& output) {
  output.say(verdict_mark(finding.verdict) + finding.subject + ": " + finding.check + ": " + finding.found);
  if (!finding.advice.empty()) output.say("      " + finding.advice);
}

JsonObject finding_object(const Finding& finding) {
  JsonObject object;
  object.set("check", finding.check);
  object.set("subject", finding.subject);
  object.set("verdict", to_string(finding.verdict));
  object.set("found", finding.found);
  if (!finding.advice.empty()) object.set("advice", finding.advice);
  return object;
}

/// What check_outputs() says of this part of the settings.
Finding part_finding(const char* check, const std::string& subject, const HostSettings& part, const std::string& good) {
  try {
    check_outputs(part);
  } catch (const Failure& failure) {
    return Finding(Verdict::machine, check, subject, failure.message, failure.advice);
  }
  return Finding(Verdict::good, check, subject, good);
}

std::vector<Finding> findings_of_machine(const Host& host, const HostSettings& settings) {
  std::vector<Finding> findings = {check_folder(host.folder().string())};
  const auto check_path = [&](const char* flag, std::string HostSettings::*member) {
    if ((settings.*member).empty() || (member == &HostSettings::out && is_standard_output(settings.out))) return;
    HostSettings part;
    part.*member = settings.*member;
    part.cert_key_is_input = settings.cert_key_is_input;
    findings.push_back(part_finding("output", settings.*member, part, std::string(flag) + " can be written"));
  };
  check_path("--out", &HostSettings::out);
  check_path("--cert-key", &HostSettings::cert_key);
  check_path("--combined", &HostSettings::combined);
  if (!settings.key_group.empty()) {
    HostSettings part;
    part.key_group = settings.key_group;
    findings.push_back(part_finding("group", settings.key_group, part, "--key-group can be given files"));
  }
  if (!settings.webroot.empty()) {
    HostSettings part;
    part.webroot = settings.webroot;
    findings.push_back(part_finding("webroot", settings.webroot, part, "--webroot is there"));
  }
  const std::pair<const char*, const std::vector<std::string>*> hooks[] = {{"--deploy-hook", &settings.deploy_hooks},
                                                                           {"--pre-hook", &settings.pre_hooks},
                                                                           {"--post-hook", &settings.post_hooks},
                                                                           {"--on-failure", &settings.failure_hooks}};
  for (const auto& [flag, programs] : hooks) {
    for (const std::string& program : *programs) findings.push_back(check_hook(flag, program));
  }
  if (!settings.challenge.dns_hook.empty()) findings.push_back(check_hook("--dns-hook", settings.challenge.dns_hook));
  return findings;
}

CheckupRequest checkup_of(const CheckFlags& flags, const Settings& settings) {
  CheckupRequest request;
  request.spec = settings.spec;
  request.from_here = static_cast<CheckupRequest::FromHere>(flags.from_here);
  request.dns_servers = flags.dns_servers;
  request.public_port = request.local_port = flags.public_port;
  request.port_is_freed = !settings.host.pre_hooks.empty();
  if (settings.host.webroot.empty()) {
    request.local_port = static_cast<std::uint16_t>(settings.host.http_port);
    if (!settings.host.http_address.empty()) request.local_address = settings.host.http_address;
  }
  return request;
}

int run_check(const CheckFlags& flags, Output& output) {
  output.verbose(flags.connection.verbose);
  if (flags.settings.names().empty() && flags.name.empty()) {
    throw Failure(exit_usage, "invalid_argument", "there is nothing to check",
                  "Give names with -d NAME, or the name of a certificate that is there.");
  }
  const Host host(flags.state, Host::Access::if_there, output);
  const Settings settings = settings_to_try(host, flags.settings, flags.name);

  CheckupRequest request = checkup_of(flags, settings);
  ServerSolvers servers(output);
  std::shared_ptr<ChallengeSolver> solver;
  const bool proven_here = !settings.host.files_only;
  if (proven_here && !needs_no_server(settings.spec.challenge))
    solver = servers.at(settings.spec.challenge, settings.host);
  request.solver = solver.get();
  request.storage = host.storage_with_account(settings.host.account_key);
  const ClientOptions client = client_options(flags.connection, settings.host.server_ca, output);
  request.session = client.session;

  std::vector<Finding> findings = findings_of_machine(host, settings.host);
  if (!proven_here)
    findings.emplace_back(Verdict::note, "challenge", settings.spec.names.front(),
                          "another host renews it: whether the CA gets the answer there was not tried");
  for (const Finding& finding : findings) say_finding(finding, output);
  request.on_finding = [&output](const Finding& finding) { say_finding(finding, output); };
  output.progress("", "checking");
  const blocking::Storage runner(request.storage, client.transport, interrupt_token());
  for (Finding& finding : runner.run(check_up(std::move(request)))) findings.push_back(std::move(finding));
  output.progress_ended("");

  std::vector<JsonObject> objects;
  for (const Finding& finding : findings) objects.push_back(finding_object(finding));
  output.result().set("names", settings.spec.names);
  output.result().set("server", settings.spec.cas.front());
  output.result().set("findings", objects);
  const Verdict worst = worst_of(findings);
  output.result().set("verdict", to_string(worst));
  if (exit_code_for(worst) == exit_ok)
    output.say("Nothing was found that would keep the certificate from being issued.");
  return exit_code_for(worst);
}

}  // namespace

void define_check(Command& command) {
  auto flags = std::make_shared<CheckFlags>();
  command.argument("name NAME", flags->name, "Check with the settings of this certificate").names_certificate();
  flags->settings.add_to(command);
  Command how = command.under_heading("What is looked at");
  how.choice(
      "--from-here public|local|no", flags->from_here, {{"public", 0}, {"local", 1}, {"no", 2}},
      "Fetch the answer to http-01 as the CA would, by the public name; only from the server of this machine; or not "
      "at all");
  how.list("--dns-server ADDRESS", flags->dns_servers,
           "DNS server to ask, with or without :PORT, in place of the system's; repeatable");
  how.number("--public-port PORT", flags->public_port, "Port that the CA connects to; another than 80 is for tests")
      .between(1, 65535);
  add_state_flags(command, flags->state);
  add_connection_flags(command, flags->connection);
  command.set_action([flags](Output& output) { return run_check(*flags, output); });
}

}  // namespace culmen::cli
