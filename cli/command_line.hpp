// The command line: which commands and options there are, and where their values go. CLI11, which does the work, is
// included by command_line.cpp alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace culmen::cli {

class Output;

/// Does the work of a command and returns the exit code. Throws Error and Failure.
using Action = std::function<int(Output&)>;

/// An option or argument as it was defined, for what is written from it: manual pages and completion.
struct OptionDescription {
  OptionDescription() = default;
  std::vector<std::string> names;     ///< Such as "-v" and "--verbose"; an argument has one, without dashes.
  std::string value;                  ///< What --help calls the value, such as "FILE"; empty: it takes none.
  std::string help;                   ///< A sentence without its full stop.
  std::string default_value;          ///< Empty: --help shows none.
  std::string environment;            ///< The variable that is read instead; empty: none.
  std::string heading;                ///< Options of one heading belong together.
  std::vector<std::string> words;     ///< Values it can have, as far as they are known; empty: any.
  std::vector<std::string> excludes;  ///< Options that cannot be given with it.
  bool argument = false;
  bool required = false;
  bool repeatable = false;
  bool certificate = false;  ///< The value is the name of a certificate that is kept.
};

struct CommandDescription {
  CommandDescription() = default;
  std::string name;
  std::string help;     ///< A sentence without its full stop.
  std::string heading;  ///< Commands of one heading belong together.
  std::vector<std::string> examples;
  std::vector<OptionDescription> options;  ///< In the order of their definition, arguments too.
  std::vector<CommandDescription> commands;
};

/// What CLI11 is not told of commands and options. Internal.
struct CommandLineNotes;

/// A handle of an option or argument that was defined. The functions that refine it can be chained.
class Option {
 public:
  Option& required();
  /// A number within these bounds, both included.
  Option& between(std::int64_t least, std::int64_t most);
  Option& one_of(std::vector<std::string> values);
  /// An empty value is possible, too. What is missing is a Failure of this machine (exit_failed).
  Option& existing_file();
  Option& existing_folder();
  /// Values that completion offers. Others are possible, as far as other checks go.
  Option& suggest(std::vector<std::string> values);
  /// The value is the name of a certificate that is kept: completion offers those.
  Option& names_certificate();
  /// `find_fault` says what is wrong with a value; an empty text: nothing.
  Option& check(std::string (*find_fault)(const std::string& value));
  /// An empty value is wrong.
  Option& not_empty();
  /// `canonical` turns a value into the one that is meant, before it is checked.
  Option& rewrite(std::string (*canonical)(const std::string& value));
  /// The environment variable that is read when the command line does not have the option.
  Option& environment(const std::string& variable);
  /// It is an error to give both. That option has to be defined already.
  Option& excludes(const std::string& option);
  /// --help does not show the default value.
  Option& hide_default();

  /// Whether it was given.
  bool given() const;
  /// Whether it has that name, such as "--out".
  bool is(const std::string& name) const;
  /// As messages call it, such as "--out".
  std::string name() const;
  /// Whether all values that were given are UTF-8.
  bool is_utf8() const;

 private:
  friend class Command;
  Option(CLI::Option& option, CommandLineNotes& notes) : option_(&option), notes_(&notes) {}

  CLI::Option* option_;
  CommandLineNotes* notes_;
};

/// A handle of a command, to define what it takes. The variables that values go to have to live until the action is
/// done.
///
/// `spec` is what --help shows on the left: "-v,--verbose", "--out FILE". Default values of texts and numbers are shown
/// too: they are what the variable holds when the option is defined.
class Command {
 public:
  /// A command below this one, of which one then has to be given.
  Command subcommand(const std::string& name, const std::string& description);
  /// Replaces the description.
  void describe(const std::string& description);
  /// Shown on top of its --help, and in its manual page: lines such as "culmen issue -d example.com".
  void examples(std::vector<std::string> lines);
  void set_action(Action action);
  /// The same command, for options that --help shows under that heading.
  Command under_heading(const std::string& heading) const;

  Option flag(const std::string& spec, bool& value, const std::string& help);
  /// "--reuse-key", and "--no-reuse-key" for false.
  Option switchable(const std::string& name, bool& value, const std::string& help);
  Option text(const std::string& spec, std::string& value, const std::string& help);
  Option number(const std::string& spec, int& value, const std::string& help);
  Option number(const std::string& spec, long long& value, const std::string& help);
  Option number(const std::string& spec, std::uint16_t& value, const std::string& help);
  Option number(const std::string& spec, std::uint64_t& value, const std::string& help);
  /// A word that stands for a number.
  Option choice(const std::string& spec, int& value, const std::map<std::string, int>& words, const std::string& help);
  /// May be repeated, each time with one value.
  Option list(const std::string& spec, std::vector<std::string>& values, const std::string& help);
  /// The same, and each value may be several with commas between them, none of which is empty.
  Option list_with_commas(const std::string& spec, std::vector<std::string>& values, const std::string& help);
  /// A word on the command line without an option before it; in `spec` it has a name: "server URL".
  Option argument(const std::string& spec, std::string& value, const std::string& help);
  /// Any number of such words.
  Option arguments(const std::string& spec, std::vector<std::string>& values, const std::string& help);

 private:
  friend class CommandLine;
  Command(CLI::App& app, CommandLineNotes& notes) : app_(&app), notes_(&notes) {}
  template <class Value>
  Option add(const std::string& spec, Value& value, const std::string& help);
  Option refined(CLI::Option& option, const std::string& spec);
  template <class Value>
  Option add_with_default(const std::string& spec, Value& value, const std::string& help);

  CLI::App* app_;
  CommandLineNotes* notes_;
  std::string heading_;
};

/// The program's whole command line.
class CommandLine {
 public:
  /// `footer` is shown at the end of every --help.
  CommandLine(const std::string& name, const std::string& description, const std::string& version,
              const std::string& footer);
  ~CommandLine();

  Command root();
  /// The program, and below it the commands as far as they are defined.
  CommandDescription description() const;
  /// Sets the variables of the options that are given. Returns the text to print and do nothing else, when that is
  /// what is asked for: --help or --version. Throws Failure (exit_usage). `words`: without the program's name.
  std::optional<std::string> parse(const std::vector<std::string>& words);
  /// After parse(): the action of the command that was given. Throws what it throws.
  int run(Output& output) const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace culmen::cli
