#include "commands.hpp"

#include <sstream>
#include <string>
#include <vector>

#include "command.hpp"
#include "command_line.hpp"

namespace culmen::cli {

namespace {

struct SubCommand {
  const char* heading;
  const char* name;
  const char* description;
  void (*define)(Command&);
  const char* examples = "";  ///< A line each.
};

constexpr const char* for_certificates = "Certificates";
constexpr const char* for_accounts = "CAs and accounts";
constexpr const char* for_machine = "This machine";
constexpr const char* for_trying = "Trying things out";

constexpr SubCommand sub_commands[] = {
    {for_certificates, "issue", "Get a certificate, or do nothing while the present one is good", define_issue,
     "culmen issue -d example.com -d www.example.com --agree-tos --server letsencrypt-staging\n"
     "culmen issue -d example.com --webroot /var/www/html --deploy-hook /usr/local/bin/reload-nginx\n"
     "culmen issue -d '*.example.com' --challenge dns-01 --dns-hook /etc/culmen/dns-hook\n"
     "culmen issue -d db.example.com --key-group ssl-cert --key-mode 0640\n"
     "culmen issue --csr request.pem --out chain.pem"},
    {for_certificates, "renew", "Renew every certificate that is due, and run deploy hooks", define_renew,
     "culmen renew\n"
     "culmen renew --dry-run\n"
     "culmen renew example.com --force\n"
     "culmen renew example.com --run-hooks -v"},
    {for_certificates, "run", "Keep certificates renewed, as a service; SIGHUP makes it read settings again",
     define_run,
     "culmen run\n"
     "culmen run --log-format json"},
    {for_certificates, "list", "Show the certificates of this host, without asking a CA", define_list,
     "culmen list\n"
     "culmen list --json"},
    {for_certificates, "status", "Show certificates in detail; the exit code is for monitoring", define_status,
     "culmen status example.com\n"
     "culmen status --warn-days 14 --json"},
    {for_certificates, "edit", "Change how a certificate is renewed, where it goes, and which hooks run", define_edit,
     "culmen edit example.com --deploy-hook /usr/local/bin/reload-nginx\n"
     "culmen edit example.com -d example.com -d www.example.com -d shop.example.com\n"
     "culmen edit example.com --combined /etc/haproxy/certs/example.com.pem\n"
     "culmen edit example.com --on-failure ''"},
    {for_certificates, "rename", "Rename a certificate on this host", define_rename},
    {for_certificates, "delete", "Remove a certificate from this host; its key is kept in keys/unused", define_delete},
    {for_certificates, "revoke", "Revoke a certificate at its CA", define_revoke,
     "culmen revoke example.com --reason keyCompromise --reissue\n"
     "culmen revoke example.com --reason cessationOfOperation --delete"},
    {for_accounts, "account", "Create, show and change accounts at CAs", define_account,
     "culmen account register --server letsencrypt --agree-tos -m ops@example.com\n"
     "culmen account list\n"
     "culmen account rollover --server letsencrypt"},
    {for_accounts, "ca", "List the CAs culmen knows by name, or show what a CA offers", define_ca,
     "culmen ca list\n"
     "culmen ca show letsencrypt"},
    {for_machine, "storage", "Prepare, check, copy or list the storage of certificates", define_storage,
     "culmen storage init 'postgresql://culmen@db.example.com/culmen?sslmode=verify-full'\n"
     "culmen storage check"},
    {for_machine, "import", "Import accounts and certificates of another client, without changing its files",
     define_import,
     "culmen import certbot --dry-run\n"
     "culmen import lego --from /etc/lego"},
    {for_machine, "install", "Write systemd units that run culmen", define_install,
     "culmen install service\n"
     "culmen install timer --user culmen --print-only"},
    {for_trying, "check", "Look at what would keep a certificate from being issued, before any order", define_check,
     "culmen check -d example.com -d www.example.com --server letsencrypt\n"
     "culmen check example.com --json"},
    {for_trying, "test", "Try a whole issuance at a test (staging) CA, and keep nothing", define_test,
     "culmen test -d example.com\n"
     "culmen test example.com"},
    {for_trying, "rehearse", "Simulate the renewals of the coming years, and report what would fail", define_rehearse,
     "culmen rehearse\n"
     "culmen rehearse --for 1y --hooks real --svg renewals.svg\n"
     "culmen rehearse --outage '2027-03-01+40'"},
    {for_trying, "demo", "Get a certificate from a CA inside this program, show it, and leave nothing behind",
     define_demo},
    {for_trying, "test-ca", "Run an ACME CA for tests", define_test_ca},
};

constexpr const char* program_examples =
    "culmen issue -d example.com -d www.example.com --agree-tos\n"
    "culmen issue -d '*.example.com' --challenge dns-01 --dns-hook /etc/culmen/dns-hook\n"
    "culmen edit example.com --deploy-hook /usr/local/bin/reload-nginx\n"
    "culmen renew --dry-run\n"
    "culmen install service";

std::vector<std::string> lines_of(const char* text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

const char* const program_description = "culmen: certificates from an ACME CA (RFC 8555), kept up to date";

const char* const exit_code_help =
    "Exit codes: 0 done, or nothing to do; 1 failed on this machine; 2 wrong usage; 3 temporary failure, try "
    "again\n"
    "later; 4 refused by the CA; 130 interrupted, challenges cleaned up.\n";

void define_commands(Command root, std::string_view chosen) {
  root.examples(lines_of(program_examples));
  for (const SubCommand& known : sub_commands) {
    Command sub = root.under_heading(known.heading).subcommand(known.name, known.description);
    if (chosen != known.name && chosen != "*") continue;
    sub.examples(lines_of(known.examples));
    known.define(sub);
  }
}

}  // namespace culmen::cli
