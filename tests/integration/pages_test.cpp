// Manual pages and completion, which are written from the commands and options of the program.
#include <doctest/doctest.h>

#include <sstream>
#include <stdexcept>

#include "cli/pages/pages.hpp"
#include "support/culmen_program.hpp"
#include "support/text.hpp"

using namespace culmen::cli;
using culmen::test::TemporaryFolder;

namespace {

const CommandDescription& program() {
  static const CommandDescription description = whole_command_line();
  return description;
}

const OptionDescription& option_named(const std::vector<OptionDescription>& options, const std::string& name) {
  for (const OptionDescription& option : options) {
    for (const std::string& own : option.names)
      if (own == name) return option;
  }
  throw std::invalid_argument("there is no option " + name);
}

const CommandDescription& command_named(const CommandDescription& parent, const std::string& name) {
  for (const CommandDescription& command : parent.commands)
    if (command.name == name) return command;
  throw std::invalid_argument("there is no command " + name);
}

/// How mdoc spells the option.
std::string in_mdoc(const std::string& name) {
  std::string text = "Fl \"\\&";
  for (const char c : name.substr(1)) text += c == '-' ? std::string("\\-") : std::string(1, c);
  return text + "\"";
}

void check_options(const CommandDescription& command, const std::string& text) {
  for (const OptionDescription& option : command.options) {
    for (const std::string& name : option.names) {
      CAPTURE(command.name);
      CAPTURE(name);
      CHECK(contains(text, option.argument ? ".It Ar \"\\&" + option.value + "\"" : in_mdoc(name)));
    }
  }
}

// Splits as readline does at ":" and "=", calls the function, and prints what it offers.
constexpr const char* driver = R"sh(
source "$1"
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=()
word='' last=''
for ((i = 0; i < ${#2}; i++)); do
  c=${2:i:1}
  case $c in [:=]) kind=break ;; ' ') kind=space ;; *) kind=letter ;; esac
  [[ $kind != "$last" && -n $word ]] && COMP_WORDS+=("$word") && word=''
  [[ $kind != space ]] && word+=$c
  last=$kind
done
COMP_WORDS+=("$word") COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_culmen
printf '%s\n' "${COMPREPLY[@]}"
)sh";

class Bash {
 public:
  Bash()
      : script_(folder_.write("culmen.bash", bash_completion(program()))), driver_(folder_.write("driver", driver)) {}

  /// What is offered at the end of that line, separated by spaces.
  std::string offers(const std::string& line) const {
    const cli_test::Outcome outcome = cli_test::run({"bash", driver_, script_, line});
    CHECK(outcome.err == "");
    std::istringstream lines(outcome.out);
    std::string all;
    for (std::string word; lines >> word;) all += (all.empty() ? "" : " ") + word;
    return all;
  }

 private:
  TemporaryFolder folder_;
  std::string script_, driver_;
};

}  // namespace

TEST_CASE("pages: the tree of commands has what --help shows") {
  const CommandDescription& issue = command_named(program(), "issue");
  CHECK(issue.heading == "Certificates");
  const OptionDescription& domain = option_named(issue.options, "--domain");
  CHECK(domain.names == std::vector<std::string>{"-d", "--domain", "--domains"});
  CHECK(domain.value == "NAME");
  CHECK(domain.repeatable);
  CHECK_FALSE(domain.argument);
  const OptionDescription& key = option_named(issue.options, "--eab-key");
  CHECK(key.environment == "CULMEN_EAB_KEY");
  CHECK_FALSE(key.repeatable);
  CHECK(option_named(issue.options, "--eab-alg").words == std::vector<std::string>{"HS256", "HS384", "HS512"});
  CHECK(option_named(issue.options, "--eab-alg").default_value == "HS256");
  CHECK(option_named(issue.options, "--force").value == "");
  CHECK(option_named(issue.options, "--csr").excludes == std::vector<std::string>{"--name"});
  const OptionDescription& persist = option_named(command_named(program(), "test-ca").options, "--dns-persist");
  CHECK(persist.words == std::vector<std::string>{"account-hash", "account-url"});
  const OptionDescription& names = option_named(command_named(program(), "delete").options, "names");
  CHECK(names.argument);
  CHECK(names.required);
  CHECK(names.certificate);
  CHECK_FALSE(command_named(program(), "account").commands.empty());
}

TEST_CASE("pages: examples name commands and options that there are") {
  std::vector<std::string> examples = program().examples;
  CHECK(examples.size() == 5);
  for (const CommandDescription& command : program().commands)
    examples.insert(examples.end(), command.examples.begin(), command.examples.end());
  CHECK(examples.size() > 30);
  for (const std::string& example : examples) {
    CAPTURE(example);
    std::istringstream words(example);
    std::string word;
    words >> word;
    CHECK(word == "culmen");
    words >> word;
    CommandDescription command = command_named(program(), word);
    while (words >> word) {
      if (!command.commands.empty()) {
        command = CommandDescription(command_named(command, word));
      } else if (word.starts_with("-")) {
        CHECK_NOTHROW(option_named(command.options, word));
      }
    }
    CHECK(command.commands.empty());
  }
}

TEST_CASE("pages: every option of every command is in its manual page") {
  const std::map<std::string, std::string> pages = manual_pages(program(), {}, "November 28, 2026");
  CHECK(pages.size() == program().commands.size() + 1);
  check_options(program(), pages.at("culmen.1"));
  for (const CommandDescription& command : program().commands) {
    CHECK(contains(pages.at("culmen.1"), ".It Xr culmen-" + command.name + " 1\n"));
    const std::string& page = pages.at("culmen-" + command.name + ".1");
    CHECK(contains(page, ".Dd November 28, 2026\n"));
    if (command.commands.empty()) check_options(command, page);
    for (const CommandDescription& sub : command.commands) {
      const std::string title = ".Ss culmen " + command.name + " " + sub.name + "\n";
      const std::size_t begin = page.find(title);
      REQUIRE(begin != std::string::npos);
      check_options(sub, page.substr(begin, page.find("\n.Ss ", begin + title.size()) - begin));
    }
  }
}

TEST_CASE("pages: what is written by hand is added where it belongs") {
  ManualParts parts;
  add_parts(parts, "culmen-list", ".Sh SECURITY CONSIDERATIONS\nKeys are private.\n.Sh FILES\nSome.\n");
  add_parts(parts, "every", ".Sh EXIT STATUS\nZero.\n");
  const std::map<std::string, std::string> pages = manual_pages(program(), parts, "November 28, 2026");
  const std::string& page = pages.at("culmen-list.1");
  const std::size_t files = page.find(".Sh FILES\nSome.\n.Sh EXIT STATUS\nZero.\n");
  REQUIRE(files != std::string::npos);
  CHECK(files < page.find(".Sh SEE ALSO\n"));
  CHECK(page.find(".Sh SEE ALSO\n") < page.find(".Sh SECURITY CONSIDERATIONS\nKeys are private.\n"));
  CHECK_FALSE(contains(pages.at("culmen-renew.1"), ".Sh FILES"));
  CHECK(contains(pages.at("culmen-renew.1"), ".Sh EXIT STATUS\nZero.\n"));

  CHECK_THROWS_AS(add_parts(parts, "culmen-list", "Too early.\n.Sh FILES\n"), std::invalid_argument);
  add_parts(parts, "culmen-nothing", ".Sh FILES\nSome.\n");
  CHECK_THROWS_AS((void)manual_pages(program(), parts, "November 28, 2026"), std::invalid_argument);
  ManualParts misspelt;
  add_parts(misspelt, "culmen-list", ".Sh FILLES\nSome.\n");
  CHECK_THROWS_AS((void)manual_pages(program(), misspelt, "November 28, 2026"), std::invalid_argument);
}

TEST_CASE("completion: bash offers commands, options, values and files") {
  const Bash bash;
  CHECK(contains(" " + bash.offers("culmen re") + " ", " revoke "));
  CHECK(bash.offers("culmen acc") == "account");
  CHECK(bash.offers("culmen account reg") == "register");
  CHECK(bash.offers("culmen account register --agr") == "--agree-tos");
  CHECK(bash.offers("culmen --agr") == "");
  CHECK(bash.offers("culmen account register --eab-alg ") == "HS256 HS384 HS512");
  // The word that readline sees begins after the ":".
  CHECK(bash.offers("culmen issue --cert-key-type ec:P-3") == "P-384");
  CHECK(bash.offers("culmen issue --cert-key-type rs") == "rsa:2048 rsa:3072 rsa:4096");
  CHECK(bash.offers("culmen issue --server=letsencrypt-") == "letsencrypt-staging");
  CHECK(bash.offers("culmen issue -d a.test --challenge tls") == "tls-alpn-01");
  CHECK(contains(bash.offers("culmen revoke --reason ke"), "keyCompromise"));
  CHECK(bash.offers("culmen ca show letsencrypt-") == "letsencrypt-staging");
  CHECK(bash.offers("culmen issue --proxy x") == "");
  CHECK(bash.offers("culmen issue --reuse") == "--reuse-key");
  CHECK(bash.offers("culmen issue --no-reuse") == "--no-reuse-key");
  CHECK(contains(" " + bash.offers("culmen issue --key-group ro") + " ", " root "));
  CHECK(contains(" " + bash.offers("culmen install timer --user ro") + " ", " root "));
  const TemporaryFolder folder;
  (void)folder.write("roots.pem", "");
  const std::string begin = (folder / "ro").string();
  CHECK(bash.offers("culmen issue --server-ca " + begin) == (folder / "roots.pem").string());
  CHECK(bash.offers("culmen issue --webroot " + begin) == "");
}

TEST_CASE("completion: bash offers the certificates that are kept, of the state folder on the line") {
  const cli_test::TestCaProcess ca;
  const TemporaryFolder folder;
  const std::string state = (folder / "state").string();
  const cli_test::Outcome issued =
      cli_test::run({cli_test::culmen_path(), "issue", "-d", "www.kept.test", "--name", "kept", "--server", ca.url(),
                     "--server-ca", ca.root_file(), "--http-port", ca.http_port(), "--agree-tos", "--dir", state});
  INFO(issued.err);
  REQUIRE(issued.exit_code == 0);
  const cli_test::Outcome listed = cli_test::run({cli_test::culmen_path(), "list", "--names", "--dir", state});
  CHECK(listed.exit_code == 0);
  CHECK(listed.out == "kept\n");
  CHECK(cli_test::run({cli_test::culmen_path(), "list", "--names", "--json", "--dir", state}).exit_code == 2);

  const Bash bash;
  const std::string culmen = cli_test::culmen_path();
  CHECK(bash.offers(culmen + " renew --dir " + state + " ") == "kept");
  CHECK(bash.offers(culmen + " revoke --dir=" + state + " ke") == "kept");
  CHECK(bash.offers(culmen + " issue --dir " + state + " --name k") == "kept");
  CHECK(bash.offers(culmen + " renew --dir " + state + " x") == "");
  CHECK(bash.offers(culmen + " renew --dir " + state + " --dry") == "--dry-run");
}

TEST_CASE("completion: zsh and fish are offered every option") {
  const std::string zsh = zsh_completion(program()), fish = fish_completion(program());
  for (const CommandDescription& command : program().commands) {
    for (const OptionDescription& option : command.options) {
      const std::string name = option.names.back();
      CAPTURE(name);
      if (option.argument) continue;
      CHECK(contains(zsh, name + (option.value.empty() ? "[" : "=[")));
      CHECK(contains(fish, "-n '__fish_seen_subcommand_from " + command.name));
      CHECK(contains(fish, " -l " + name.substr(2) + " "));
    }
  }
  CHECK(contains(zsh, ":NAME:_culmen_certificates'"));
  CHECK(contains(zsh, "culmen list --names $place 2> /dev/null"));
  CHECK(contains(fish, " -x -a '(__culmen_certificates)'"));
  CHECK(contains(fish, " -l key-group -x -a '(__fish_complete_groups)'"));
  CHECK(contains(fish, " -l user -x -a '(__fish_complete_users)'"));
  CHECK(contains(zsh, ":GROUP:_groups'"));
  CHECK(contains(zsh, ":USER:_users'"));
}

TEST_CASE("completion: each description is one line, and says what the option does") {
  const std::string zsh = zsh_completion(program()), fish = fish_completion(program());
  CHECK(contains(zsh, "--reuse-key[Keep the key at renewals]"));
  CHECK(contains(zsh, "--no-reuse-key[Not --reuse-key]"));
  CHECK(contains(fish, " -l reuse-key -d 'Keep the key at renewals'\n"));
  CHECK(contains(fish, " -l no-reuse-key -d 'Not --reuse-key'\n"));
  CHECK(contains(fish, " -l no-manual -d 'Not --manual'\n"));
  CHECK(contains(fish, " -l no-contact -d 'Clear the contacts'\n"));  // an option of its own
  CHECK(contains(fish,
                 " -a certbot -d 'Take over accounts and certificates of certbot, so that culmen renew goes on "
                 "with them'\n"));
  for (const std::string& script : {zsh, fish}) CHECK_FALSE(contains(script, "\nIts files"));
}
