#include "command_line.hpp"

#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

#include "command.hpp"
#include "output.hpp"

namespace culmen::cli {

struct CommandLine::Parser {
  Parser(const std::string& name, const std::string& description) : app(description, name) {}
  CLI::App app;
  Command::Actions actions;
};

namespace {

constexpr std::size_t help_column = 34;

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
  return Command(*app_->add_subcommand(name, description), *actions_);
}

void Command::describe(const std::string& description) { app_->description(description); }

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
  parser_->app.set_version_flag("--version", version);
  parser_->app.get_formatter()->column_width(help_column);
  parser_->app.footer(footer);
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() { return Command(parser_->app, parser_->actions); }

std::optional<std::string> CommandLine::parse(int argc, const char* const* argv) {
  CLI::App& app = parser_->app;
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& success) {
    std::ostringstream text;
    app.exit(success, text);
    return text.str();
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    const std::vector<std::string> unknown = app.remaining(true);
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) && !unknown.empty()) {
      message = "\"" + unknown.front() + "\" is not a command";
    }
    const std::string first = argc > 1 ? argv[1] : "";
    const bool is_command = !app.get_subcommands([&](const CLI::App* sub) { return sub->get_name() == first; }).empty();
    const std::string command = app.get_name() + (is_command ? " " + first : "");
    throw Failure(exit_usage, "usage", message, "See " + command + " --help.");
  }
}

int CommandLine::run(Output& output) const {
  const CLI::App* given = &parser_->app;
  while (!given->get_subcommands().empty()) given = given->get_subcommands().front();
  return parser_->actions.at(given)(output);
}

}  // namespace culmen::cli
