#include "keeper.hpp"

#include <algorithm>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>

#include "account_flags.hpp"
#include "command.hpp"
#include "culmen/attempt.hpp"
#include "culmen/certificate.hpp"
#include "deploy.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "progress_lines.hpp"
#include "solvers_on_demand.hpp"

namespace culmen::cli {

namespace {

/// Certificates that one manager can keep: the roots to trust and the account belong to a manager.
using Group = std::pair<std::string, std::string>;

class Keeper {
 public:
  Keeper(const Host& host, const KeepOptions& options, Output& output)
      : host_(host), options_(options), output_(output), deployment_(host.local_folder(), system_hooks(), output) {}

  KeepResult once(const std::vector<Kept>& certificates);

 private:
  void keep_group(const Group& group, const std::vector<const Kept*>& certificates);
  ManagerOptions options_of(const Group& group, const std::vector<const Kept*>& certificates);
  void prepare(Attempt& attempt);
  void say(const ManagerEvent& event);
  void installed(const InstalledCertificate& certificate);
  const Kept& kept(const std::string& spec_id) const { return *by_spec_.at(spec_id); }
  std::string title(const std::string& id) const { return several_ ? printable(id) + ": " : std::string(); }

  const Host& host_;
  const KeepOptions& options_;
  Output& output_;
  Deployment deployment_;
  ServerSolvers servers_;
  std::map<std::string, const Kept*> by_spec_;   ///< By the id of the spec.
  std::map<std::string, std::string> spec_of_;   ///< By the id of the certificate.
  std::map<std::string, std::string> cause_of_;  ///< Of the certificates that were issued.
  bool several_ = false;
  std::mutex accounts_mutex_;
  std::set<std::string> accounts_said_;  ///< Those that were made.
  KeepResult result_;
};

KeepResult Keeper::once(const std::vector<Kept>& certificates) {
  several_ = certificates.size() > 1;
  std::map<Group, std::vector<const Kept*>> groups;
  for (const Kept& kept : certificates) {
    by_spec_[id_of(kept.settings.spec)] = &kept;
    for (const std::string& id : certificate_ids(kept.settings.spec)) spec_of_[id] = id_of(kept.settings.spec);
    groups[{kept.settings.host.server_ca, kept.settings.host.account_key}].push_back(&kept);
  }
  for (const auto& [group, members] : groups) keep_group(group, members);
  result_.hooks_failed = deployment_.run_hooks();
  return std::move(result_);
}

void Keeper::keep_group(const Group& group, const std::vector<const Kept*>& certificates) {
  Manager manager(options_of(group, certificates));
  for (const Kept* kept : certificates) {
    const std::string id = id_of(kept->settings.spec);
    if (!kept->force.empty()) manager.renew_now(id, kept->force).value();
    if (options_.retry_now) manager.retry_now(id).value();
  }
  RunSummary summary = manager.run_once(interrupt_token());
  // That an account has ended shows only when it is used; the next attempt makes a new one.
  std::vector<std::string> ended;
  for (const auto& [id, error] : summary.failed) {
    if (error.code() == Errc::unauthorized && options_.account.agree_tos && error.problems().empty())
      ended.push_back(id);
  }
  if (!ended.empty()) {
    for (const std::string& id : ended) manager.retry_now(id).value();
    const std::vector<std::string> issued = std::move(summary.issued);
    summary = manager.run_once(interrupt_token());
    summary.issued.insert(summary.issued.end(), issued.begin(), issued.end());
  }
  result_.issued.insert(result_.issued.end(), summary.issued.begin(), summary.issued.end());
  result_.held_elsewhere.insert(result_.held_elsewhere.end(), summary.held_elsewhere.begin(),
                                summary.held_elsewhere.end());
  result_.waiting.insert(summary.waiting.begin(), summary.waiting.end());
  result_.failed.insert(summary.failed.begin(), summary.failed.end());
}

ManagerOptions Keeper::options_of(const Group& group, const std::vector<const Kept*>& certificates) {
  const auto& [server_ca, account_key] = group;
  ManagerOptions options;
  options.storage = host_.storage_with_account(account_key);
  options.owner = lease_owner();
  options.client = client_options(options_.connection, server_ca, output_);
  std::vector<std::string> directories;
  for (const Kept* kept : certificates) {
    options.specs.push_back(kept->settings.spec);
    for (const std::string& directory : kept->settings.spec.cas) {
      if (std::find(directories.begin(), directories.end(), directory) == directories.end())
        directories.push_back(directory);
    }
  }
  for (const std::string& directory : directories) {
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

void Keeper::prepare(Attempt& attempt) {
  const Settings& settings = kept(id_of(attempt.spec)).settings;
  const HostSettings& host = settings.host;
  if (attempt.account.created) {
    const std::lock_guard lock(accounts_mutex_);
    if (accounts_said_.insert(attempt.account.url).second)
      output_.say("Made an account: " + printable(attempt.account.url));
  }
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
  if (const std::optional<PrivateKey> key = input_key(host)) request.key = *key;
  attempt.meta = meta_for_release_before(settings).serialized();
  const auto lines = std::make_shared<ProgressLines>(output_, title(attempt.id), request.identifiers.size());
  request.on_progress = [lines](const IssueProgress& progress) { lines->show(progress); };
}

void Keeper::say(const ManagerEvent& event) {
  using Kind = ManagerEvent::Kind;
  switch (event.kind) {
    case Kind::issuing: {
      const std::string verb = event.not_after ? "renewing" : "issuing";
      if (!event.id.empty()) cause_of_[event.id] = event.detail;
      return output_.say(printable(event.id) + ": " + verb + ": " + printable(event.detail));
    }
    case Kind::warning:
    case Kind::lease_lost:
    case Kind::expired:
      return output_.warn((event.id.empty() ? "" : printable(event.id) + ": ") + printable(event.detail, 2000));
    default: return output_.log(to_text(event));
  }
}

void Keeper::installed(const InstalledCertificate& certificate) {
  const auto spec = spec_of_.find(certificate.id);
  if (spec == spec_of_.end()) return;
  const auto cause = cause_of_.find(certificate.id);
  try {
    deployment_.put(certificate, kept(spec->second).settings.host, host_.live_folder(certificate.id),
                    cause == cause_of_.end() ? std::string() : cause->second);
  } catch (const Error& error) {
    result_.not_written.insert_or_assign(certificate.id, error);
  }
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

KeepResult keep_once(const Host& host, const std::vector<Kept>& certificates, const KeepOptions& options,
                     Output& output) {
  return Keeper(host, options, output).once(certificates);
}

std::string other_key(const culmen::StoredCertificate& certificate, const HostSettings& settings) {
  if (!certificate.live || !certificate.damage.empty()) return {};
  const std::optional<PrivateKey> key = input_key(settings);
  if (!key || Certificate::from_pem(certificate.live->chain_pem).matches(*key)) return {};
  return "it is for another key than the one in " + settings.cert_key;
}

void say_failures(const KeepResult& result, bool several, Output& output) {
  const auto named = [&](const std::string& id, const Error& error) {
    return several ? error.while_doing(printable(id)) : error;
  };
  for (const auto& [id, error] : result.failed) output.fail(named(id, error));
  for (const auto& [id, error] : result.not_written) output.fail(named(id, error));
  for (const auto& [id, why] : result.waiting) output.warn(printable(id) + ": not now: " + printable(why, 1000) +
                                                        "; there is nothing to do until then");
  for (const std::string& id : result.held_elsewhere)
    output.warn(printable(id) + ": another culmen works on it; run the same command again when it is done");
  for (const auto& [program, why] : result.hooks_failed)
    output.warn("the hook " + printable(program) + " failed: " + printable(why, 2000) +
                "; it runs again the next time");
}

}  // namespace culmen::cli
