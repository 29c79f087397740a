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

constexpr const char* everyday = "Certificates";
constexpr const char* accounts = "CAs and accounts";
constexpr const char* machine = "This machine";
constexpr const char* trying = "Trying things out";

constexpr SubCommand sub_commands[] = {
    {everyday, "issue", "Get a certificate, or do nothing while the present one is good", define_issue},
    {everyday, "renew", "Renew every certificate that is due, and run deploy hooks", define_renew},
    {everyday, "run", "Renew without end, as a service: SIGHUP makes it look again", define_run},
    {everyday, "list", "Show the certificates that are kept here, without asking a CA", define_list},
    {everyday, "status", "Show them in detail; the exit code is for monitoring", define_status},
    {everyday, "edit", "Change how a certificate is renewed, where it goes, and which hooks run", define_edit},
    {everyday, "rename", "Give a certificate another name here", define_rename},
    {everyday, "delete", "Remove a certificate from here; its key is kept aside", define_delete},
    {everyday, "revoke", "Tell the CA that a certificate must not be trusted any more", define_revoke},
    {accounts, "account", "Make, show and change accounts at CAs", define_account},
    {accounts, "ca", "Which CAs culmen knows by name, and what a CA offers", define_ca},
    {machine, "storage", "Where certificates are kept: prepare, check, copy and list a storage", define_storage},
    {machine, "import", "Take over accounts and certificates of another client, whose files stay as they are",
     define_import},
    {machine, "install", "Have systemd run culmen", define_install},
    {trying, "rehearse", "See what would be renewed in the coming years, and what would fail", define_rehearse},
    {trying, "test-ca", "Run an ACME CA for tests", define_test_ca},
};

}  // namespace

const char* const program_description = "culmen: certificates from an ACME CA (RFC 8555), kept up to date";

const char* const exit_code_help =
    "\nExit codes: 0 done, or nothing to do; 1 failed on this machine; 2 wrong usage; 3 temporary failure, try again\n"
    "later; 4 refused by the CA; 130 interrupted, challenges cleaned up.\n";

void define_commands(Command root, std::string_view chosen) {
  for (const SubCommand& known : sub_commands) {
    Command sub = root.under_heading(known.heading).subcommand(known.name, known.description);
    if (chosen == known.name || chosen == "*") known.define(sub);
  }
}

}  // namespace culmen::cli
