#include "challenge_solvers.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include <sys/poll.h>
#include <unistd.h>

#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/dns_solver.hpp"
#include "culmen/onion.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

constexpr std::string_view dns_types[] = {"dns-01", "dns-account-01", "dns-persist-01"};
constexpr auto onion_caa_lifetime = std::chrono::hours(7);  // RFC 9799 §6.4: at most 8

bool is_dns(const std::string& challenge) {
  return std::find(std::begin(dns_types), std::end(dns_types), challenge) != std::end(dns_types);
}

Failure misfit(const std::string& what, const std::string& advice) {
  return Failure(exit_usage, "invalid_argument", what, advice);
}

OnionKey onion_key_of(const ChallengeFlags& flags) {
  const auto contents = read_file(flags.onion_key);
  if (!contents) throw Error(Errc::io_failed, "reading --onion-key " + flags.onion_key, "there is no such file");
  try {
    return OnionKey::from_file_contents(*contents);
  } catch (const Error& error) {
    throw error.while_doing("reading --onion-key " + flags.onion_key);
  }
}

/// Shows what to do, and waits for Enter.
void ask_person(Output& output, const std::string& what, const TxtRecord& record) {
  output.say(what + "\n    name   " + printable(record.name, 260) + "\n    type   TXT\n    value  " +
             printable(record.value, 1000));
  output.say("Press Enter when it is done, or Ctrl-C to stop.");
  output.progress_ended();
  for (;;) {
    pollfd both[] = {{STDIN_FILENO, POLLIN, 0}, {interrupt_token().descriptor(), POLLIN, 0}};
    if (poll(both, 2, -1) < 0 && errno != EINTR) throw Error(Errc::io_failed, "waiting for Enter");
    if (interrupted()) throw Error(Errc::cancelled, "waiting for Enter");
    if (both[0].revents == 0) continue;
    char c = 0;
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got == 1 && c == '\n') return;
    if (got <= 0) throw Error(Errc::cancelled, "waiting for Enter", "the input ended");
  }
}

std::unique_ptr<ChallengeSolver> manual_solver(const std::string& challenge, Output& output) {
  const auto present = [&output](const ChallengeContext& context) {
    ask_person(output, "Add this record to the DNS, and keep other records of that name:", dns_record(context));
  };
  const auto cleanup = [&output](const ChallengeContext& context) {
    const TxtRecord record = dns_record(context);
    output.say("This record can be removed now:\n    " + printable(record.name, 260) + " TXT " + record.value);
  };
  return make_solver(challenge, present, cleanup);
}

}  // namespace

bool needs_no_server(const std::string& challenge) { return is_dns(challenge) || challenge == "onion-csr-01"; }

void check_challenge_flags(const std::string& challenge, const ChallengeFlags& flags) {
  const bool transient = challenge == "dns-01" || challenge == "dns-account-01";
  if (transient && flags.dns_hook.empty() && !flags.manual) {
    throw misfit("--challenge " + challenge + " needs something that changes the DNS",
                 "Give --dns-hook PROGRAM (docs/dns-hooks.md says what it has to do), or --manual.");
  }
  if (!is_dns(challenge) && (!flags.dns_hook.empty() || flags.manual || flags.dns_wait > 0)) {
    throw misfit("--dns-hook, --dns-wait and --manual go with --challenge dns-01, dns-account-01 and dns-persist-01",
                 "The challenge is " + challenge + "; add --challenge dns-01 if that is meant.");
  }
  if (flags.manual && isatty(STDIN_FILENO) == 0) {
    throw misfit("--manual waits for you to press Enter, but standard input is not a terminal",
                 "Run it from a terminal, or give --dns-hook PROGRAM.");
  }
  if (challenge == "onion-csr-01" && flags.onion_key.empty()) {
    throw misfit("--challenge onion-csr-01 needs the key of the onion service",
                 "Give --onion-key FILE: hs_ed25519_secret_key in Tor's HiddenServiceDir.");
  }
  if (flags.onion_key.empty() && !flags.onion_caa.empty()) {
    throw misfit("--onion-caa has to be signed by the onion service", "Give --onion-key FILE as well.");
  }
}

std::unique_ptr<ChallengeSolver> make_challenge_solver(const std::string& challenge, const ChallengeFlags& flags,
                                                       const Directory& directory, const Account& account,
                                                       const std::vector<Identifier>& identifiers, Output& output) {
  if (challenge == "onion-csr-01") return std::make_unique<OnionSolver>(onion_key_of(flags));
  if (challenge == "dns-persist-01") {
    DnsPersistOptions options;
    options.settle = std::chrono::seconds(flags.dns_wait);
    options.record.wildcard =
        std::any_of(identifiers.begin(), identifiers.end(), [](const Identifier& i) { return i.is_wildcard(); });
    const auto publish = [flags, &output](const ChallengeContext& context, const TxtRecord& record) {
      if (flags.manual) {
        ask_person(output, "Add this record to the DNS permanently:", record);
      } else if (!flags.dns_hook.empty()) {
        DnsHook(flags.dns_hook, std::chrono::seconds(flags.dns_hook_timeout), interrupt_token())
            .run("present", context, record);
      } else {
        output.say("The CA looks for this record, which must be in the DNS already:\n    " +
                   printable(record.name, 260) + " TXT " + printable(record.value, 1000));
      }
    };
    return std::make_unique<DnsPersistSolver>(directory, account, publish, options);
  }
  if (flags.manual) return manual_solver(challenge, output);
  DnsHookOptions options;
  options.type = challenge;
  options.settle = std::chrono::seconds(flags.dns_wait);
  options.time_limit = std::chrono::seconds(flags.dns_hook_timeout);
  options.cancel = interrupt_token();
  return std::make_unique<DnsHookSolver>(flags.dns_hook, options);
}

std::map<std::string, std::string> ancestor_domains(const std::vector<std::string>& ancestors,
                                                    const std::vector<Identifier>& identifiers) {
  std::map<std::string, std::string> domains;
  for (const std::string& text : ancestors) {
    const std::string ancestor = Identifier::dns(text).value;
    for (const Identifier& identifier : identifiers) {
      const bool is_below = identifier.type == "dns" && identifier.value.ends_with("." + ancestor);
      if (is_below && identifier.value != "*." + ancestor) domains[identifier.value] = ancestor;
    }
  }
  return domains;
}

void add_onion_flags(const ChallengeFlags& flags, const Directory& directory, IssueRequest& request) {
  request.onion_identifier_type = flags.onion_type;
  if (flags.onion_key.empty() || (flags.onion_caa.empty() && !directory.meta.onion_caa_required)) return;
  std::optional<std::string> caa;
  if (!flags.onion_caa.empty()) caa = flags.onion_caa;
  request.onion_caa.push_back(
      sign_onion_caa(onion_key_of(flags), caa, std::chrono::system_clock::now() + onion_caa_lifetime));
}

void note_challenge_flags(const ChallengeFlags& flags, JsonObject& challenge) {
  if (!flags.dns_hook.empty()) {
    // A name without a slash is looked for in PATH, then as now.
    const bool has_path = flags.dns_hook.find('/') != std::string::npos;
    challenge.set("dns_hook", has_path ? std::filesystem::absolute(flags.dns_hook).string() : flags.dns_hook);
    challenge.set("dns_hook_timeout", flags.dns_hook_timeout);
  }
  if (flags.dns_wait > 0) challenge.set("dns_wait", flags.dns_wait);
  if (flags.manual) challenge.set("manual", true);
  if (!flags.onion_key.empty()) challenge.set("onion_key", std::filesystem::absolute(flags.onion_key).string());
  if (!flags.onion_caa.empty()) challenge.set("onion_caa", flags.onion_caa);
  if (flags.onion_type != "dns") challenge.set("onion_type", flags.onion_type);
}

void restore_challenge_flags(const JsonObject& challenge, ChallengeFlags& flags) {
  flags.dns_hook = challenge.text("dns_hook");
  flags.dns_hook_timeout = challenge.number("dns_hook_timeout", flags.dns_hook_timeout);
  flags.dns_wait = challenge.number("dns_wait", flags.dns_wait);
  flags.manual = challenge.flag("manual");
  flags.onion_key = challenge.text("onion_key");
  flags.onion_caa = challenge.text("onion_caa");
  if (challenge.text("onion_type") == "onion") flags.onion_type = "onion";
}

}  // namespace culmen::cli
