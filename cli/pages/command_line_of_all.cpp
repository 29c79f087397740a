#include "cli/commands.hpp"
#include "culmen/version.hpp"
#include "pages.hpp"

namespace culmen::cli {

CommandDescription whole_command_line() {
  CommandLine command_line("culmen", program_description, std::string(culmen::version_text()), exit_code_help);
  define_commands(command_line.root(), "*");
  return command_line.description();
}

}  // namespace culmen::cli
