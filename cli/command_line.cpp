#include "command_line.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>

#include "command.hpp"
#include "json_object.hpp"
#include "meant.hpp"
#include "nearest.hpp"
#include "output.hpp"
#include "secrets.hpp"

namespace culmen::cli {

struct CommandLineNotes {
  CommandLineNotes() = default;
  std::map<const CLI::App*, Action> actions;
  std::map<const CLI::App*, std::vector<std::string>> examples;
  std::map<const CLI::Option*, std::vector<std::string>> words;
  std::set<const CLI::Option*> certificates;
};

struct CommandLine::Parser {
  Parser(const std::string& name, const std::string& description) : app(description, name) {}
  CLI::App app;
  CommandLineNotes notes;
};

namespace {

constexpr std::size_t help_column = 30, help_width = 100;

/// The help of options, without what CLI11 adds of checks and of what excludes each other, in lines of bearable length.
class HelpFormatter final : public CLI::Formatter {
 public:
  explicit HelpFormatter(const CommandLineNotes& notes) : notes_(notes) { column_width(help_column); }

  std::string make_usage(const CLI::App* command, std::string name) const override {
    std::string text = CLI::Formatter::make_usage(command, std::move(name));
    const auto examples = notes_.examples.find(command);
    if (examples == notes_.examples.end()) return text;
    text += "\nExamples:\n";
    for (const std::string& line : examples->second) text += "  " + line + "\n";
    return text;
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    std::string left = "  " + make_option_name(option, is_positional) + make_option_opts(option);
    // CLI11's note of a flag that switches off.
    if (const auto note = left.find("{false}"); note != std::string::npos) left.erase(note, 7);
    std::string text;
    const std::string indent(help_column, ' ');
    left.resize(std::max(left.size() + 2, help_column), ' ');
    if (left.size() > help_column) {
      text = left.substr(0, left.find_last_not_of(' ') + 1) + "\n";
      left = indent;
    }
    std::istringstream words(option->get_description());
    for (std::string word; words >> word;) {
      if (left.size() > help_column && left.size() + 1 + word.size() > help_width) {
        text += left + "\n";
        left = indent;
      }
      if (left.size() > help_column) left += ' ';
      left += word;
    }
    return text + left + "\n";
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text;
    if (const std::string type = option->get_type_name(); !type.empty()) text += " " + type;
    if (const std::string value = option->get_default_str(); !value.empty()) text += " [" + value + "]";
    if (option->get_required()) text += " (required)";
    return text;
  }

 private:
  const CommandLineNotes& notes_;
};

std::vector<const CLI::App*> commands_below(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

/// The command that the words lead to.
const CLI::App* command_of(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  for (const std::string& word : words) {
    const CLI::App* next = nullptr;
    for (const CLI::App* sub : commands_below(*command))
      if (sub->get_name() == word) next = sub;
    if (!next) break;
    command = next;
  }
  return command;
}

std::string path_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return (parent ? path_of(*parent) + " " : std::string()) + command.get_name();
}

std::string words_joined(const std::vector<std::string>& words, const std::string& separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

std::vector<std::string> names_of_commands(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : commands_below(command)) names.push_back(sub->get_name());
  return names;
}

bool has_option(const CLI::App& command, const std::string& name) {
  return command.get_option_no_throw(name) != nullptr;
}

bool takes_certificates(const CLI::App& command, const CommandLineNotes& notes) {
  const std::vector<const CLI::Option*> options = command.get_options();
  return std::any_of(options.begin(), options.end(), [&](const CLI::Option* option) {
    return option->get_positional() && notes.certificates.contains(option);
  });
}

/// The commands below it that have the option.
std::vector<std::string> commands_with(const CLI::App& command, const std::string& option) {
  std::vector<std::string> names;
  for (const CLI::App* sub : commands_below(command)) {
    if (has_option(*sub, option)) names.push_back(sub->get_name());
  }
  return names;
}

/// False for "That is --deploy-hook PROGRAM here." where there is no such option.
bool fits(const std::string& advice, const CLI::App& command) {
  constexpr std::string_view begin = "That is --";
  if (!advice.starts_with(begin)) return true;
  return has_option(command,
                    advice.substr(begin.size() - 2, advice.find_first_of(" .", begin.size()) - begin.size() + 2));
}

/// What to do about an option that the command does not have.
std::string advice_on_option(const CLI::App& command, const CommandLineNotes& notes,
                             const std::vector<std::string>& words, const std::string& given) {
  const std::string word = given.substr(0, given.find('='));
  if (!command.get_parent()) {
    const std::vector<std::string> names = names_of_commands(command);
    const auto is_name = [&](const std::string& each) {
      return std::find(names.begin(), names.end(), each) != names.end();
    };
    const auto sub = std::find_if(words.begin(), words.end(), is_name);
    if (sub != words.end()) return "Options come after the command: culmen " + *sub + " " + word + " …";
  }
  for (const char* name : {"-d", "--domain", "--domains", "--name", "--cert-name"}) {
    if (word == name && takes_certificates(command, notes) && !has_option(command, "--name"))
      return "The name of a certificate is given without an option: " + path_of(command) + " NAME";
  }
  if (word.starts_with("--no-") && has_option(command, "--" + word.substr(5)))
    return "Leave --" + word.substr(5) + " out: it is off unless it is given";
  if (const std::string subs = words_joined(commands_with(command, word), "|"); command.get_parent() && !subs.empty())
    return "Say which one: " + path_of(command) + " " + subs + " " + word;
  if (std::string meant = meant_option(path_of(command), word); !meant.empty() && fits(meant, command)) return meant;
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  // The opposite is never meant.
  std::erase_if(known, [&](const std::string& name) { return name.starts_with("--no-") != word.starts_with("--no-"); });
  const std::string near = nearest(word, known);
  return near.empty() ? std::string() : "Did you mean " + near + "?";
}

std::string near_command(const CLI::App& command, const std::string& word) {
  if (std::string meant = meant_command(path_of(command), word); !meant.empty()) return meant;
  std::vector<std::string> known = names_of_commands(command);
  std::erase_if(known, [&](const std::string& name) { return is_destructive(name) && !differs_by_one(word, name); });
  return nearest(word, known);
}

/// What --help shows of it: "--server URL", "NAME".
std::string shown_option(const CLI::Option& option) {
  if (option.get_positional()) return option.get_type_name();
  const std::string name = option.get_lnames().empty() ? option.get_name() : "--" + option.get_lnames().front();
  return option.get_type_name().empty() ? name : name + " " + option.get_type_name();
}

/// The two sides of `separator` in CLI11's message.
std::optional<std::pair<std::string, std::string>> sides_of(const std::string& message, const std::string& separator) {
  const auto at = message.find(separator);
  if (at == std::string::npos) return std::nullopt;
  return std::pair(message.substr(0, at), message.substr(at + separator.size()));
}

/// What CLI11 found, in words of this program.
std::string translated(const CLI::App& command, const CLI::ParseError& error) {
  const std::string message = error.what();
  switch (static_cast<CLI::ExitCodes>(error.get_exit_code())) {
    case CLI::ExitCodes::RequiredError: {
      std::vector<std::string> missing;
      for (const CLI::Option* option : command.get_options()) {
        if (option->get_required() && option->count() == 0) missing.push_back(shown_option(*option));
      }
      return missing.empty() ? message : path_of(command) + " needs " + words_joined(missing, " and ");
    }
    case CLI::ExitCodes::ExcludesError:
      if (const auto both = sides_of(message, " excludes "))
        return both->first + " and " + both->second + " cannot be given together";
      return message;
    case CLI::ExitCodes::ArgumentMismatch:
      if (const auto name = sides_of(message, ": At Most 1 required")) return name->first + " is given more than once";
      if (const auto name = sides_of(message, ": 1 required")) {
        const CLI::Option* option = command.get_option_no_throw(name->first);
        return name->first + " needs a value" + (option ? ": " + shown_option(*option) : std::string());
      }
      return message;
    case CLI::ExitCodes::ConversionError:
      if (const auto value = sides_of(message, " = ")) {
        if (const auto name = sides_of(value->first, "Could not convert: "))
          return name->second + ": \"" + value->second + "\" is not a number that it can have";
      }
      if (const auto name = sides_of(message, ": Should be true/false")) return name->first + " takes no value";
      return message;
    default: return message;
  }
}

/// What is wrong, in words of this program.
Failure explained(const CLI::App& app, const CommandLineNotes& notes, const CLI::ParseError& error,
                  const std::vector<std::string>& words) {
  const CLI::App& command = *command_of(app, words);
  std::string message, advice;
  const std::vector<std::string> unknown = app.remaining(true);
  const bool has_commands = !commands_below(command).empty();
  if (!unknown.empty() && unknown.front().starts_with("-")) {
    message = "there is no option " + printable(shown_word(unknown.front()));
    advice = advice_on_option(command, notes, words, unknown.front());
  } else if (!unknown.empty() && has_commands) {
    message = "\"" + printable(shown_word(unknown.front())) + "\" is not a command";
    if (const std::string near = near_command(command, unknown.front()); !near.empty())
      advice = near.ends_with('.') ? near : "Did you mean " + near + "?";
    else if (command.get_parent())
      advice = "There is: " + words_joined(names_of_commands(command), ", ");
  } else if (!unknown.empty()) {
    message = "unexpected argument: " + printable(shown_word(unknown.front()));
    advice = meant_argument(path_of(command), printable(shown_word(unknown.front())));
    if (advice.empty() && has_option(command, "--domain"))
      advice = "Names are given with -d: -d " + printable(shown_word(unknown.front()));
  } else if (has_commands && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError)) {
    message = path_of(command) + " needs a command: " + words_joined(names_of_commands(command), ", ");
  } else {
    message = translated(command, error);
  }
  if (!advice.empty()) advice += advice.ends_with('.') || advice.ends_with('?') ? " " : ". ";
  return Failure(exit_usage, "usage", printable(message, 1000), advice + "See " + path_of(command) + " --help.");
}

OptionDescription described(const CLI::Option& option, const CommandLineNotes& notes) {
  OptionDescription described;
  described.argument = option.get_positional();
  if (described.argument) {
    described.names = {option.get_name(true)};
  } else {
    for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) described.names.push_back("--" + name);
  }
  if (option.get_items_expected_max() > 0) described.value = option.get_type_name();
  described.help = option.get_description();
  described.default_value = option.get_default_str();
  described.environment = option.get_envname();
  described.heading = option.get_group();
  if (const auto words = notes.words.find(&option); words != notes.words.end()) described.words = words->second;
  for (const CLI::Option* other : option.get_excludes()) {
    if (!other->get_positional()) described.excludes.push_back("--" + other->get_lnames().front());
  }
  described.required = option.get_required();
  described.repeatable = option.get_expected_max() > 1;
  described.certificate = notes.certificates.count(&option) > 0;
  return described;
}

CommandDescription described(const CLI::App& app, const CommandLineNotes& notes) {
  CommandDescription command;
  command.name = app.get_name();
  command.help = app.get_description();
  command.heading = app.get_group();
  if (const auto examples = notes.examples.find(&app); examples != notes.examples.end())
    command.examples = examples->second;
  for (const CLI::Option* option : app.get_options()) command.options.push_back(described(*option, notes));
  for (const CLI::App* sub : commands_below(app)) command.commands.push_back(described(*sub, notes));
  return command;
}

/// From the last to the first, as CLI11 takes them. For "--dir=" it would take the next word as the value.
std::vector<std::string> for_cli11(const std::vector<std::string>& words) {
  std::vector<std::string> reversed;
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    const bool is_empty = word->starts_with("--") && word->find('=') == word->size() - 1;
    if (is_empty) reversed.emplace_back();
    reversed.push_back(is_empty ? word->substr(0, word->size() - 1) : *word);
  }
  return reversed;
}

/// What is wrong with this machine, not with the command line.
Failure missing_here(const std::string& option, const std::string& path, const std::string& what) {
  return Failure(exit_failed, "not_found", option + ": " + printable(path, 1000) + " " + what);
}

}  // namespace

Option& Option::required() {
  option_->required();
  return hide_default();  // which would never be used
}

Option& Option::between(std::int64_t least, std::int64_t most) {
  option_->check(CLI::Validator(
      [least, most](const std::string& value) -> std::string {
        std::int64_t number = 0;
        const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
        const bool good = failed == std::errc() && end == value.data() + value.size();
        if (good && number >= least && number <= most) return {};
        return "\"" + value + "\" is not a number from " + std::to_string(least) + " to " + std::to_string(most);
      },
      ""));
  return *this;
}

Option& Option::one_of(std::vector<std::string> values) {
  suggest(values);
  option_->transform(CLI::Validator(
      [values](std::string& value) -> std::string {
        const std::string same = written_alike(value, values);
        if (same.empty()) return "\"" + value + "\" is not one of " + words_joined(values, ", ");
        value = same;
        return {};
      },
      ""));
  return *this;
}

Option& Option::existing_file() {
  const std::string name = option_->get_name();
  option_->check(CLI::Validator(
      [name](const std::string& path) -> std::string {
        std::error_code failed;
        if (path.empty() || std::filesystem::is_regular_file(path, failed)) return {};
        if (std::filesystem::exists(path, failed)) throw missing_here(name, path, "is not a file");
        throw missing_here(name, path, "does not exist");
      },
      ""));
  return *this;
}

Option& Option::existing_folder() {
  const std::string name = option_->get_name();
  option_->check(CLI::Validator(
      [name](const std::string& path) -> std::string {
        std::error_code failed;
        if (path.empty() || std::filesystem::is_directory(path, failed)) return {};
        if (std::filesystem::exists(path, failed)) throw missing_here(name, path, "is not a folder");
        throw missing_here(name, path, "does not exist");
      },
      ""));
  return *this;
}

Option& Option::suggest(std::vector<std::string> values) {
  notes_->words[option_] = std::move(values);
  return *this;
}

Option& Option::names_certificate() {
  notes_->certificates.insert(option_);
  return *this;
}

Option& Option::check(std::string (*find_fault)(const std::string& value)) {
  option_->check(CLI::Validator(find_fault, ""));
  return *this;
}

Option& Option::not_empty() {
  return check([](const std::string& value) { return std::string(value.empty() ? "the value is empty" : ""); });
}

Option& Option::rewrite(std::string (*canonical)(const std::string& value)) {
  option_->transform(CLI::Validator(
      [canonical](std::string& value) -> std::string {
        value = canonical(value);
        return {};
      },
      ""));
  return *this;
}

Option& Option::environment(const std::string& variable) {
  option_->envname(variable);
  return *this;
}

Option& Option::excludes(const std::string& option) {
  option_->excludes(option);
  return *this;
}

Option& Option::hide_default() {
  option_->default_str("");
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

std::string Option::name() const { return option_->get_name(); }

bool Option::is_utf8() const {
  const std::vector<std::string> values = option_->results();
  return std::all_of(values.begin(), values.end(), [](const std::string& value) { return cli::is_utf8(value); });
}

bool Option::is(const std::string& name) const { return option_->check_name(name); }

Command Command::subcommand(const std::string& name, const std::string& description) {
  app_->require_subcommand(1);  // before it is added, which takes over the upper bound
  CLI::App* const sub = app_->add_subcommand(name, description);
  sub->group(heading_.empty() ? "Commands" : heading_);
  return Command(*sub, *notes_);
}

void Command::describe(const std::string& description) { app_->description(description); }

void Command::examples(std::vector<std::string> lines) {
  if (!lines.empty()) notes_->examples[app_] = std::move(lines);
}

void Command::set_action(Action action) { notes_->actions[app_] = std::move(action); }

Command Command::under_heading(const std::string& heading) const {
  Command command = *this;
  command.heading_ = heading;
  return command;
}

Option Command::flag(const std::string& spec, bool& value, const std::string& help) {
  CLI::Option* option = app_->add_flag(spec, value, help);
  if (!heading_.empty()) option->group(heading_);
  return Option(*option, *notes_);
}

Option Command::switchable(const std::string& name, bool& value, const std::string& help) {
  return flag(name + ",!--no-" + name.substr(2), value, help);
}

template <class Value>
Option Command::add(const std::string& spec, Value& value, const std::string& help) {
  return refined(*app_->add_option(spec.substr(0, spec.find(' ')), value, help), spec);
}

Option Command::refined(CLI::Option& option, const std::string& spec) {
  option.type_name(spec.substr(spec.find(' ') + 1));
  if (!heading_.empty()) option.group(heading_);
  return Option(option, *notes_);
}

template <class Value>
Option Command::add_with_default(const std::string& spec, Value& value, const std::string& help) {
  const Option option = add(spec, value, help);
  option.option_->capture_default_str();
  return option;
}

Option Command::text(const std::string& spec, std::string& value, const std::string& help) {
  return add_with_default(spec, value, help);
}

Option Command::number(const std::string& spec, int& value, const std::string& help) {
  return add_with_default(spec, value, help);
}

Option Command::number(const std::string& spec, long long& value, const std::string& help) {
  return add_with_default(spec, value, help);
}

Option Command::number(const std::string& spec, std::uint16_t& value, const std::string& help) {
  return add_with_default(spec, value, help);
}

Option Command::number(const std::string& spec, std::uint64_t& value, const std::string& help) {
  return add_with_default(spec, value, help);
}

Option Command::choice(const std::string& spec, int& value, const std::map<std::string, int>& words,
                       const std::string& help) {
  const Option option = add(spec, value, help);
  std::vector<std::string>& known = notes_->words[option.option_];
  for (const auto& [word, number] : words) known.push_back(word);
  option.option_->transform(CLI::Validator(
      [words, known](std::string& word) -> std::string {
        const std::string same = written_alike(word, known);
        if (same.empty()) return "\"" + word + "\" is not one of " + words_joined(known, ", ");
        word = std::to_string(words.at(same));
        return {};
      },
      ""));
  return option;
}

Option Command::list(const std::string& spec, std::vector<std::string>& values, const std::string& help) {
  const Option option = add(spec, values, help);
  option.option_->allow_extra_args(false);
  return option;
}

// CLI11's own way to split leaves empty values out.
Option Command::list_with_commas(const std::string& spec, std::vector<std::string>& values, const std::string& help) {
  const std::string names = spec.substr(0, spec.find(' '));
  const std::string from_long = names.substr(names.find("--"));
  const auto take = [&values, name = from_long.substr(0, from_long.find(','))](const std::vector<std::string>& given) {
    values.clear();
    for (const std::string& text : given) {
      std::istringstream parts(text + ",");
      for (std::string part; std::getline(parts, part, ',');) {
        if (part.empty() && !text.empty())
          throw CLI::ValidationError(name, "\"" + text + "\" has an empty value between its commas");
        values.push_back(part);
      }
    }
  };
  const Option option = refined(*app_->add_option_function<std::vector<std::string>>(names, take, help), spec);
  option.option_->allow_extra_args(false);
  return option;
}

Option Command::argument(const std::string& spec, std::string& value, const std::string& help) {
  return add_with_default(spec, value, help);
}

Option Command::arguments(const std::string& spec, std::vector<std::string>& values, const std::string& help) {
  return add(spec, values, help);
}

CommandLine::CommandLine(const std::string& name, const std::string& description, const std::string& version,
                         const std::string& footer)
    : parser_(std::make_unique<Parser>(name, description)) {
  // Before any command is added: commands take these over.
  parser_->app.set_version_flag("-V,--version", version);
  parser_->app.formatter(std::make_shared<HelpFormatter>(parser_->notes));
  parser_->app.footer(footer);
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() { return Command(parser_->app, parser_->notes); }

CommandDescription CommandLine::description() const { return described(parser_->app, parser_->notes); }

std::optional<std::string> CommandLine::parse(const std::vector<std::string>& words) {
  CLI::App& app = parser_->app;
  try {
    app.parse(for_cli11(words));
    return std::nullopt;
  } catch (const CLI::Success& success) {
    std::ostringstream text;
    app.exit(success, text);
    return text.str();
  } catch (const CLI::ParseError& error) {
    throw explained(app, parser_->notes, error, words);
  }
}

int CommandLine::run(Output& output) const {
  const CLI::App* given = &parser_->app;
  while (!given->get_subcommands().empty()) given = given->get_subcommands().front();
  return parser_->notes.actions.at(given)(output);
}

}  // namespace culmen::cli
