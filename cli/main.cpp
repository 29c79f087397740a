// The culmen program.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "command.hpp"
#include "culmen/version.hpp"
#include "output.hpp"

namespace {

using namespace culmen::cli;

struct Command {
  const char* name;
  const char* description;
  Run (*define)(CLI::App&);
};
constexpr Command commands[] = {
    {"issue", "Get a certificate, or do nothing while the present one is good", define_issue},
    {"renew", "Renew every certificate that is due", define_renew},
    {"revoke", "Revoke a certificate", define_revoke},
    {"account", "register, show, update, rollover, deactivate, recover", define_account},
    {"ca", "list, show: the CAs culmen knows by name, and what a CA offers", define_ca},
    {"import", "certbot: take over its accounts and certificates", define_import},
    {"install", "timer: have systemd run culmen renew", define_install},
    {"test-ca", "Run an ACME CA for tests", define_test_ca},
};

constexpr const char* footer =
    "\nExit codes: 0 done, or nothing to do; 1 failed; 2 wrong usage; 3 temporary failure, try again later;\n"
    "4 refused by the CA; 130 interrupted, challenges cleaned up.\n";

// Only the sub-command at hand defines its options: the others cost nothing.
Run define(CLI::App& app, std::string_view chosen) {
  Run run;
  for (const Command& command : commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.description);
    if (chosen == command.name) run = command.define(*sub);
  }
  return run;
}

int run_parsed(const Run& run, Output& output) {
  try {
    return run(output);
  } catch (const Failure& failure) {
    return output.fail(failure);
  } catch (const culmen::Error& error) {
    return output.fail(error);
  } catch (const std::exception& error) {
    return output.fail(Failure(exit_failed, "internal", error.what()));
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

  CLI::App app("culmen: certificates from an ACME CA (RFC 8555)", "culmen");
  app.set_version_flag("--version", [] { return std::string(culmen::version_text()); });
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.footer(footer);
  const Run run = define(app, chosen);

  int exit_code = exit_ok;
  try {
    app.parse(argc, argv);
    exit_code = run_parsed(run, output);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    const std::string command = run ? "culmen " + std::string(chosen) : "culmen";
    std::string message = error.what();
    const std::vector<std::string> unknown = app.remaining(true);
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) && !unknown.empty()) {
      message = "\"" + unknown.front() + "\" is not a command";
    }
    exit_code = output.fail(Failure(exit_usage, "usage", message, "See " + command + " --help."));
  }
  output.finish(chosen, exit_code);
  return exit_code;
}
