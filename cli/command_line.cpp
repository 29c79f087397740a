#include "command_line.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

#include "command.hpp"
#include "json_object.hpp"
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

std::string near_option(const CLI::App& command, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  return nearest(word.substr(0, word.find('=')), known);
}

std::string near_command(const CLI::App& command, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::App* sub : commands_below(command)) known.push_back(sub->get_name());
  return nearest(word, known);
}

/// What is wrong, in words of this program; CLI11's otherwise.
Failure explained(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  const CLI::App& command = *command_of(app, words);
  std::string message = error.what(), near;
  const std::vector<std::string> unknown = app.remaining(true);
  const bool has_commands = !commands_below(command).empty();
  if (!unknown.empty() && unknown.front().starts_with("-")) {
    message = "there is no option " + printable(shown_word(unknown.front()));
    near = near_option(command, unknown.front());
  } else if (!unknown.empty() && has_commands) {
    message = "\"" + printable(shown_word(unknown.front())) + "\" is not a command";
    near = near_command(command, unknown.front());
  } else if (!unknown.empty()) {
    message = "unexpected argument: " + printable(shown_word(unknown.front()));
  } else if (has_commands && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError)) {
    message = path_of(command) + " needs a command:";
    for (const CLI::App* sub : commands_below(command)) message += " " + sub->get_name();
  }
  return Failure(exit_usage, "usage", printable(message, 1000),
                 (near.empty() ? "See " : "Did you mean " + near + "? See ") + path_of(command) + " --help.");
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
  for (const CLI::Option* other : option.get_excludes())
    described.excludes.push_back("--" + other->get_lnames().front());
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

// Without a description: CLI11 would add it to the value's name in --help.
template <class Validator>
CLI::Validator undescribed(const Validator& validator) {
  return CLI::Validator(validator).description("");
}

}  // namespace

Option& Option::required() {
  option_->required();
  return hide_default();  // which would never be used
}

Option& Option::between(std::int64_t least, std::int64_t most) {
  option_->check(undescribed(CLI::Range(least, most)));
  return *this;
}

Option& Option::one_of(std::vector<std::string> values) {
  suggest(values);
  option_->check(undescribed(CLI::IsMember(std::move(values))));
  return *this;
}

Option& Option::existing_file() {
  option_->check(undescribed(CLI::ExistingFile));
  return *this;
}

Option& Option::existing_folder() {
  option_->check(undescribed(CLI::ExistingDirectory));
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

Option& Option::delimiter(char separator) {
  option_->delimiter(separator);
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

template <class Value>
Option Command::add(const std::string& spec, Value& value, const std::string& help) {
  const std::size_t space = spec.find(' ');
  CLI::Option* option = app_->add_option(spec.substr(0, space), value, help);
  option->type_name(spec.substr(space + 1));
  if (!heading_.empty()) option->group(heading_);
  return Option(*option, *notes_);
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
  option.option_->transform(undescribed(CLI::CheckedTransformer(words)));
  for (const auto& [word, number] : words) notes_->words[option.option_].push_back(word);
  return option;
}

Option Command::list(const std::string& spec, std::vector<std::string>& values, const std::string& help) {
  const Option option = add(spec, values, help);
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
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
    return std::nullopt;
  } catch (const CLI::Success& success) {
    std::ostringstream text;
    app.exit(success, text);
    return text.str();
  } catch (const CLI::ParseError& error) {
    throw explained(app, error, words);
  }
}

int CommandLine::run(Output& output) const {
  const CLI::App* given = &parser_->app;
  while (!given->get_subcommands().empty()) given = given->get_subcommands().front();
  return parser_->notes.actions.at(given)(output);
}

}  // namespace culmen::cli
