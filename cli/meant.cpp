#include "meant.hpp"

#include <algorithm>
#include <iterator>

namespace culmen::cli {

namespace {

struct Meaning {
  std::string_view word;
  const char* meant;
  std::string_view command = {};  ///< An option: of this command only.
};

constexpr Meaning meant_commands[] = {
    {"certificates", "list"},
    {"certs", "list"},
    {"ls", "list"},
    {"certonly", "issue"},
    {"obtain", "issue"},
    {"get", "issue"},
    {"new", "issue"},
    {"create", "issue"},
    {"order", "issue"},
    {"show", "status"},
    {"info", "status"},
    {"remove", "delete"},
    {"rm", "delete"},
    {"reconfigure", "edit"},
    {"modify", "edit"},
    {"change", "edit"},
    {"set", "edit"},
    {"config", "edit"},
    {"mv", "rename"},
    {"daemon", "run"},
    {"serve", "run"},
    {"start", "run"},
    {"cron", "install timer"},
    {"version", "--version"},
    {"register", "account register"},
    {"unregister", "account deactivate"},
    {"deactivate", "account deactivate"},
    {"update_account", "account update"},
    {"show_account", "account show"},
    {"accounts", "account list"},
    {"recover", "account recover"},
    {"rollover", "account rollover"},
    {"cas", "ca list"},
    {"server", "test-ca"},
    {"doctor", "check"},
    {"diagnose", "check"},
    {"dry-run", "test"},
    {"update", "renew (a newer certificate) or edit (other settings)"},
    {"install-cert", "edit NAME --out FILE --cert-key FILE --deploy-hook PROGRAM"},
    {"completion",
     "Completion is not printed, but installed with the program: see docs/packaging.md, \"Manual pages and "
     "completion\"."},
    {"completions",
     "Completion is not printed, but installed with the program: see docs/packaging.md, \"Manual pages and "
     "completion\"."},
};

constexpr Meaning meant_account_commands[] = {
    {"create", "register"},   {"new", "register"},          {"add", "register"}, {"delete", "deactivate"},
    {"remove", "deactivate"}, {"unregister", "deactivate"}, {"info", "show"},    {"edit", "update"},
    {"rekey", "rollover"},    {"rotate", "rollover"},
};

constexpr Meaning meant_options[] = {
    {"--standalone", "Leave it out: culmen answers on port 80 itself, unless --webroot FOLDER is given."},
    {"--http", "Leave it out: http-01 on port 80 is the default."},
    {"--alpn", "That is --challenge tls-alpn-01 here."},
    {"--tls", "That is --challenge tls-alpn-01 here."},
    {"--dns", "That is --challenge dns-01 --dns-hook PROGRAM here."},
    {"--preferred-challenges", "That is --challenge TYPE here."},
    {"--nginx", "Give --webroot FOLDER and --deploy-hook PROGRAM: culmen does not change a server's configuration."},
    {"--apache", "Give --webroot FOLDER and --deploy-hook PROGRAM: culmen does not change a server's configuration."},
    {"-w", "That is --webroot FOLDER here."},
    {"--webroot-path", "That is --webroot FOLDER here."},
    {"--cert-name", "That is --name NAME for issue; other commands take the name as a word."},
    {"--staging", "That is --server letsencrypt-staging here, or: culmen test -d NAME."},
    {"--test-cert", "That is --server letsencrypt-staging here, or: culmen test -d NAME."},
    {"--config-dir", "That is --dir FOLDER here."},
    {"--home", "That is --dir FOLDER here."},
    {"--path", "That is --dir FOLDER here."},
    {"--force-renewal", "That is --force here."},
    {"--accept-tos", "That is --agree-tos here."},
    {"-n", "Leave it out: only --manual ever asks for something."},
    {"--non-interactive", "Leave it out: only --manual ever asks for something."},
    {"--register-unsafely-without-email", "Leave it out: no address is needed."},
    {"--renew-hook", "That is --deploy-hook PROGRAM here."},
    {"--reloadcmd", "That is --deploy-hook PROGRAM here."},
    {"--fullchain-file", "That is --out FILE here."},
    {"--key-file", "That is --cert-key FILE here."},
    {"--dry-run", "Nothing is ordered by culmen check -d NAME, and nothing is kept by culmen test -d NAME.",
     "culmen issue"},
    {"--dry-run", "It changes settings only; culmen renew --dry-run says what comes of them.", "culmen edit"},
    {"--expand", "Leave it out, and give all names with -d: they replace those that the certificate has."},
    {"--keylength", "That is --cert-key-type TYPE here, such as ec:P-256 or rsa:4096."},
    {"--rsa-key-size", "That is --cert-key-type TYPE here, such as rsa:4096."},
    {"--elliptic-curve", "That is --cert-key-type TYPE here, such as ec:P-384."},
    {"--ecc", "That is --cert-key-type TYPE here, such as ec:P-256, which is the default."},
    {"--days", "Leave it out: the CA suggests when to renew, or it is when a third of the lifetime is left."},
    {"--hook", "That is --deploy-hook PROGRAM here; for the DNS it is --dns-hook PROGRAM."},
    {"--run-hook", "That is --deploy-hook PROGRAM here."},
    {"-q", "Leave it out: warnings and errors go to standard error, all else to standard output.", "culmen issue"},
    {"--quiet", "Leave it out: warnings and errors go to standard error, all else to standard output.", "culmen issue"},
    {"--add", "Give all names with -d: they replace those that the certificate has.", "culmen edit"},
    {"--remove", "Give all names that stay with -d: they replace those that the certificate has.", "culmen edit"},
    {"--server", "The CA is given without an option: culmen ca show NAME, or its URL.", "culmen ca show"},
};

constexpr std::string_view destructive_commands[] = {"delete", "revoke", "deactivate"};

template <std::size_t size>
std::string found_in(const Meaning (&meanings)[size], std::string_view word, std::string_view command = {}) {
  const auto found = std::find_if(std::begin(meanings), std::end(meanings), [&](const Meaning& meaning) {
    return meaning.word == word && (meaning.command.empty() || meaning.command == command);
  });
  return found == std::end(meanings) ? std::string() : found->meant;
}

}  // namespace

std::string meant_command(std::string_view command, std::string_view word) {
  if (command == "culmen") return found_in(meant_commands, word);
  return command == "culmen account" ? found_in(meant_account_commands, word) : std::string();
}

std::string meant_option(std::string_view command, std::string_view option) {
  return found_in(meant_options, option.substr(0, option.find('=')), command);
}

std::string meant_argument(std::string_view command, std::string_view word) {
  if (command == "culmen list") return "For one certificate there is: culmen status " + std::string(word);
  return {};
}

bool is_destructive(std::string_view command) {
  return std::find(std::begin(destructive_commands), std::end(destructive_commands), command) !=
         std::end(destructive_commands);
}

}  // namespace culmen::cli
