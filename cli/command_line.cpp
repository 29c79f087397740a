#include "command_line.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

#include "command.hpp"
#include "nearest.hpp"
#include "output.hpp"

namespace culmen::cli {

struct CommandLine::Parser {
  Parser(const std::string& name, const std::string& description) : app(description, name) {}
  CLI::App app;
  Command::Actions actions;
};

namespace {

constexpr std::size_t help_column = 30, help_width = 100;

/// The help of options, without what CLI11 adds of checks and of what excludes each other, in lines of bearable length.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(help_column); }

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
};

/// The command that the words lead to.
const CLI::App* command_of(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  for (const std::string& word : words) {
    const CLI::App* next = nullptr;
    for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; }))
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
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(sub->get_name());
  return nearest(word, known);
}

/// What is wrong, in words of this program; CLI11's otherwise.
Failure explained(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  const CLI::App& command = *command_of(app, words);
  std::string message = error.what(), near;
  const std::vector<std::string> unknown = app.remaining(true);
  const bool has_commands = !command.get_subcommands([](const CLI::App*) { return true; }).empty();
  if (!unknown.empty() && unknown.front().starts_with("-")) {
    message = "there is no option " + printable(unknown.front());
    near = near_option(command, unknown.front());
  } else if (!unknown.empty() && has_commands) {
    message = "\"" + printable(unknown.front()) + "\" is not a command";
    near = near_command(command, unknown.front());
  } else if (!unknown.empty()) {
    message = "there is a word too many: " + printable(unknown.front());
  } else if (has_commands && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError)) {
    message = "say which command: " + path_of(command) + " …";
  }
  return Failure(exit_usage, "usage", printable(message, 1000),
                 (near.empty() ? "See " : "Did you mean " + near + "? See ") + path_of(command) + " --help.");
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

bool Option::is(const std::string& name) const { return option_->check_name(name); }

Command Command::subcommand(const std::string& name, const std::string& description) {
  app_->require_subcommand(1);  // before it is added, which takes over the upper bound
  CLI::App* const sub = app_->add_subcommand(name, description);
  if (!heading_.empty()) sub->group(heading_);
  return Command(*sub, *actions_);
}

void Command::describe(const std::string& description) { app_->description(description); }

void Command::examples(const std::vector<std::string>& lines) {
  std::string text = "\nExamples:\n";
  for (const std::string& line : lines) text += "  " + line + "\n";
  app_->footer(text + app_->get_footer());
}

void Command::set_action(Action action) { (*actions_)[app_] = std::move(action); }

Command Command::under_heading(const std::string& heading) const {
  Command command = *this;
  command.heading_ = heading;
  return command;
}

Option Command::flag(const std::string& spec, bool& value, const std::string& help) {
  CLI::Option* option = app_->add_flag(spec, value, help);
  if (!heading_.empty()) option->group(heading_);
  return Option(*option);
}

template <class Value>
Option Command::add(const std::string& spec, Value& value, const std::string& help) {
  const std::size_t space = spec.find(' ');
  CLI::Option* option = app_->add_option(spec.substr(0, space), value, help);
  option->type_name(spec.substr(space + 1));
  if (!heading_.empty()) option->group(heading_);
  return Option(*option);
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
  parser_->app.formatter(std::make_shared<HelpFormatter>());
  parser_->app.footer(footer);
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() { return Command(parser_->app, parser_->actions); }

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
  return parser_->actions.at(given)(output);
}

}  // namespace culmen::cli
