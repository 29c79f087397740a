#include "commands.hpp"

#include "command.hpp"
#include "command_line.hpp"

namespace culmen::cli {

namespace {

struct SubCommand {
  const char* heading;
  const char* name;
  const char* description;
  void (*define)(Command&);
};

constexpr const char* for_certificates = "Certificates";
constexpr const char* for_accounts = "CAs and accounts";
constexpr const char* for_machine = "This machine";
constexpr const char* for_trying = "Trying things out";

constexpr SubCommand sub_commands[] = {
    {for_certificates, "issue", "Get a certificate, or do nothing while the present one is good", define_issue},
    {for_certificates, "renew", "Renew every certificate that is due, and run deploy hooks", define_renew},
    {for_certificates, "run", "Renew without end, as a service: SIGHUP makes it look again", define_run},
    {for_certificates, "list", "Show the certificates that are kept here, without asking a CA", define_list},
    {for_certificates, "status", "Show them in detail; the exit code is for monitoring", define_status},
    {for_certificates, "edit", "Change how a certificate is renewed, where it goes, and which hooks run", define_edit},
    {for_certificates, "rename", "Give a certificate another name here", define_rename},
    {for_certificates, "delete", "Remove a certificate from here; its key is kept aside", define_delete},
    {for_certificates, "revoke", "Tell the CA that a certificate must not be trusted any more", define_revoke},
    {for_accounts, "account", "Make, show and change accounts at CAs", define_account},
    {for_accounts, "ca", "Which CAs culmen knows by name, and what a CA offers", define_ca},
    {for_machine, "storage", "Where certificates are kept: prepare, check, copy and list a storage", define_storage},
    {for_machine, "import", "Take over accounts and certificates of another client, whose files stay as they are",
     define_import},
    {for_machine, "install", "Have systemd run culmen", define_install},
    {for_trying, "demo", "Get a certificate from a CA inside this program, show it, and leave nothing behind",
     define_demo},
    {for_trying, "check", "Look at what would keep a certificate from being issued, before any order", define_check},
    {for_trying, "test", "Go through a whole issuance at a CA for tests, and keep nothing", define_test},
    {for_trying, "rehearse", "See what would be renewed in the coming years, and what would fail", define_rehearse},
    {for_trying, "test-ca", "Run an ACME CA for tests", define_test_ca},
};

}  // namespace

const char* const program_description = "culmen: certificates from an ACME CA (RFC 8555), kept up to date";

const char* const exit_code_help =
    "\nExit codes: 0 done, or nothing to do; 1 failed on this machine; 2 wrong usage; 3 temporary failure, try "
    "again\n"
    "later; 4 refused by the CA; 130 interrupted, challenges cleaned up.\n";

void define_commands(Command root, std::string_view chosen) {
  for (const SubCommand& known : sub_commands) {
    Command sub = root.under_heading(known.heading).subcommand(known.name, known.description);
    if (chosen == known.name || chosen == "*") known.define(sub);
  }
}

}  // namespace culmen::cli
