// culmen renew: every certificate of the state folder that is due, as the CA suggests (ARI) or by its lifetime.
#include <algorithm>
#include <map>
#include <memory>

#include "certificate_store.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "issue.hpp"
#include "output.hpp"
#include "renewal_store.hpp"

namespace culmen::cli {

namespace {

using Clock = std::chrono::system_clock;

struct RenewFlags {
  RenewFlags() = default;
  std::vector<std::string> names;
  std::string dir;
  std::string proxy;
  bool allow_http = false;
  int poll_timeout = 120;
  bool dry_run = false;
  bool force = false;
  bool json = false;
  bool verbose = false;
};

/// What was decided for one certificate.
struct Verdict {
  Verdict() = default;
  bool renew = false;
  std::string reason;
};

class Renewal {
 public:
  Renewal(const RenewFlags& flags, Output& output) : flags_(flags), output_(output) {}

  int run();

 private:
  std::vector<CertificateFolder> chosen_folders() const;
  /// Returns an exit code.
  int look_at(const CertificateFolder& folder, JsonObject& entry);
  Verdict decide(const CertificateFolder& folder, const StoredCertificate& live, const IssueFlags& issue,
                 JsonObject& entry);
  RenewalState current_state(const CertificateFolder& folder, const StoredCertificate& live, const IssueFlags& issue);
  blocking::AcmeClient client_of(const IssueFlags& issue);
  int issue_again(IssueFlags issue, const std::string& reason, JsonObject& entry);

  const RenewFlags& flags_;
  Output& output_;
  std::map<std::string, blocking::AcmeClient> clients_;  // by server and the roots to trust for it
};

int Renewal::run() {
  output_.verbose(flags_.verbose);
  std::vector<JsonObject> entries;
  int worst = exit_ok;
  int renewed = 0, failed = 0;
  for (const CertificateFolder& folder : chosen_folders()) {
    JsonObject entry;
    entry.set("name", folder.name());
    int code = exit_ok;
    try {
      code = look_at(folder, entry);
    } catch (const Error& error) {
      if (error.code() == Errc::cancelled) throw;
      code = output_.fail(error);
    } catch (const Failure& failure) {
      code = output_.fail(failure);
    }
    entry.copy("error", output_.result());
    output_.result() = {};
    if (code != exit_ok) entry.set("result", "failed");
    const std::string result = entry.text("result");
    if (result == "renewed") ++renewed;
    if (result == "failed") ++failed;
    // What will pass by itself weighs less than what will not.
    if (code != exit_ok && (worst == exit_ok || worst == exit_temporary)) worst = code;
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) output_.say("There is no certificate in " + state_folder(flags_.dir).string());
  output_.result().set("changed", renewed > 0);
  output_.result().set("renewed", renewed);
  output_.result().set("failed", failed);
  output_.result().set("certificates", entries);
  return worst;
}

std::vector<CertificateFolder> Renewal::chosen_folders() const {
  const std::filesystem::path state = state_folder(flags_.dir);
  if (flags_.names.empty()) return CertificateFolder::all(state);
  std::vector<CertificateFolder> folders;
  for (const std::string& name : flags_.names) {
    const auto folder = CertificateFolder::find(state, name);
    if (!folder)
      throw Failure(exit_usage, "not_found", "there is no certificate \"" + name + "\" in " + state.string());
    folders.push_back(*folder);
  }
  return folders;
}

int Renewal::look_at(const CertificateFolder& folder, JsonObject& entry) {
  Verdict verdict;
  IssueFlags issue;
  {
    const FolderLock lock = folder.lock();  // issuing takes it again
    const auto live = folder.live();
    if (!live) {
      entry.set("result", "skipped");
      entry.set("reason", "it was never issued");
      output_.say(folder.name() + ": was never issued; culmen issue goes on with it");
      return exit_ok;
    }
    entry.set("names", name_list(live->leaf.identifiers));
    issue = flags_of(*live, folder);
    issue.server.dir = flags_.dir;
    issue.server.proxy = flags_.proxy;
    issue.server.allow_http = flags_.allow_http;
    issue.server.poll_timeout = flags_.poll_timeout;
    issue.server.json = flags_.json;
    issue.server.verbose = flags_.verbose;
    verdict = decide(folder, *live, issue, entry);
  }
  entry.set("renew", verdict.renew);
  entry.set("reason", verdict.reason);
  if (!verdict.renew) {
    entry.set("result", "not due");
    output_.say(folder.name() + ": not now: " + verdict.reason);
    return exit_ok;
  }
  if (flags_.dry_run) {
    entry.set("result", "would renew");
    output_.say(folder.name() + ": would be renewed: " + verdict.reason);
    return exit_ok;
  }
  output_.say(folder.name() + ": renewing");
  return issue_again(std::move(issue), verdict.reason, entry);
}

Verdict Renewal::decide(const CertificateFolder& folder, const StoredCertificate& live, const IssueFlags& issue,
                        JsonObject& entry) {
  Verdict verdict;
  const std::string revoked = live.meta.text("revoked");
  if (flags_.force) {
    verdict.renew = true;
    verdict.reason = "--force says so";
  } else if (!revoked.empty()) {
    verdict.reason = "it was revoked on " + revoked + "; culmen issue gets a new one";
  } else if (!live.damage.empty()) {
    verdict.renew = true;
    verdict.reason = "its files are of no use: " + live.damage;
  } else {
    const RenewalState state = current_state(folder, live, issue);
    const RenewalDecision decision = decide_renewal(live.leaf, state, Clock::now());
    entry.set("due", time_text(decision.renew_at));
    entry.set("next_check", time_text(decision.next_check));
    if (state.info) {
      entry.set("window_start", time_text(state.info->window_start));
      entry.set("window_end", time_text(state.info->window_end));
      if (!state.info->explanation_url.empty()) entry.set("explanation_url", state.info->explanation_url);
    }
    verdict.renew = decision.renew_now;
    verdict.reason = decision.reason;
  }
  return verdict;
}

RenewalState Renewal::current_state(const CertificateFolder& folder, const StoredCertificate& live,
                                    const IssueFlags& issue) {
  RenewalState state = read_renewal_state(live);
  const auto now = Clock::now();
  if (live.leaf.not_after <= now || (state.next_check && now < *state.next_check)) return state;
  try {
    blocking::AcmeClient client = client_of(issue);
    state = client.directory().renewal_info.empty() ? with_answer(live, std::move(state), std::nullopt)
                                                    : ask_for_renewal_info(client, live, std::move(state), output_);
  } catch (const Error& error) {
    // The lifetime decides without the CA as well.
    if (error.code() == Errc::cancelled) throw;
    output_.warn(folder.name() + ": could not ask the CA when to renew: " + error.what());
    state = with_answer(live, std::move(state), std::nullopt);
  }
  // Also in a dry run: what was picked in the CA's window stays, and so does when to ask again.
  write_renewal_state(live, state);
  return state;
}

blocking::AcmeClient Renewal::client_of(const IssueFlags& issue) {
  const std::string key = issue.server.server + "\n" + issue.server.server_ca;
  auto found = clients_.find(key);
  if (found == clients_.end()) found = clients_.emplace(key, connect(issue.server, output_)).first;
  return found->second;
}

int Renewal::issue_again(IssueFlags issue, const std::string& reason, JsonObject& entry) {
  issue.reason = reason;
  const int code = run_issue(issue, output_);
  for (const char* member : {"serial", "not_before", "not_after", "due", "order", "certificate", "files"}) {
    entry.copy(member, output_.result());
  }
  entry.set("result", "renewed");
  return code;
}

}  // namespace

void define_renew(Command& command) {
  auto flags = std::make_shared<RenewFlags>();
  command.describe(
      "Renews every certificate of the state folder that is due, the way it was issued. A certificate is due when its "
      "CA\n"
      "suggests so (ARI), or when about a third of its lifetime is left (half, if it lives shorter than 10 days).");
  command.arguments("name NAME", flags->names, "Only these certificates, by their names in the state folder");
  add_dir_flag(command, flags->dir);
  command.flag("--dry-run", flags->dry_run, "Say what would be done and why, and do nothing");
  command.flag("--force", flags->force, "Renew even what is not due");
  add_poll_timeout_flag(command, flags->poll_timeout);
  add_transport_flags(command, flags->proxy, flags->allow_http);
  add_json_flag(command, flags->json);
  add_verbose_flag(command, flags->verbose);
  command.set_action([flags](Output& output) { return Renewal(*flags, output).run(); });
}

}  // namespace culmen::cli
