// All commands, for the program itself and for what is made from them: manual pages and completion.
#pragma once

#include <string_view>

namespace culmen::cli {

class Command;

/// Defines the commands. Only the one that is called `chosen` gets its options; "*": all.
void define_commands(Command root, std::string_view chosen);

/// What the program is for.
extern const char* const program_description;
/// Shown at the end of each --help.
extern const char* const exit_code_help;

}  // namespace culmen::cli
