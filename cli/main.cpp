// The culmen program.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "command.hpp"
#include "command_line.hpp"
#include "culmen/version.hpp"
#include "output.hpp"

namespace {

using namespace culmen::cli;

struct SubCommand {
  const char* name;
  const char* description;
  void (*define)(Command&);
};
constexpr SubCommand sub_commands[] = {
    {"issue", "Get a certificate, or do nothing while the present one is good", define_issue},
    {"renew", "Renew every certificate that is due", define_renew},
    {"revoke", "Revoke a certificate", define_revoke},
    {"account", "register, show, update, rollover, deactivate, recover", define_account},
    {"ca", "list, show: the CAs culmen knows by name, and what a CA offers", define_ca},
    {"import", "certbot: take over its accounts and certificates", define_import},
    {"install", "timer: have systemd run culmen renew", define_install},
    {"rehearse", "See what would be renewed in the coming years, and what would fail", define_rehearse},
    {"test-ca", "Run an ACME CA for tests", define_test_ca},
};

constexpr const char* footer =
    "\nExit codes: 0 done, or nothing to do; 1 failed; 2 wrong usage; 3 temporary failure, try again later;\n"
    "4 refused by the CA; 130 interrupted, challenges cleaned up.\n";

// Only the sub-command at hand defines its options: the others cost nothing.
void define(Command root, std::string_view chosen) {
  for (const SubCommand& known : sub_commands) {
    Command sub = root.subcommand(known.name, known.description);
    if (chosen == known.name) known.define(sub);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // A reader that goes away must not keep a challenge from being cleaned up.
  signal(SIGPIPE, SIG_IGN);
  const std::string_view chosen = argc > 1 ? argv[1] : "";
  const bool json =
      std::any_of(argv + std::min(argc, 1), argv + argc, [](std::string_view arg) { return arg == "--json"; });
  Output output(json && chosen != "test-ca");

  CommandLine command_line("culmen", "culmen: certificates from an ACME CA (RFC 8555)",
                           std::string(culmen::version_text()), footer);
  define(command_line.root(), chosen);

  int exit_code = exit_ok;
  try {
    if (const auto text = command_line.parse(argc, argv)) {
      std::fputs(text->c_str(), stdout);
      return exit_ok;
    }
    exit_code = command_line.run(output);
  } catch (const Failure& failure) {
    exit_code = output.fail(failure);
  } catch (const culmen::Error& error) {
    exit_code = output.fail(error);
  } catch (const std::exception& error) {
    exit_code = output.fail(Failure(exit_failed, "internal", error.what()));
  }
  output.finish(chosen, exit_code);
  return exit_code;
}
