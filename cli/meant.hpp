// What somebody means who knows another client.
#pragma once

#include <string>
#include <string_view>

namespace culmen::cli {

/// The words that do here what `word` does elsewhere, such as "list" for "certificates"; empty: none is known.
/// `command` is what the word follows, such as "culmen" or "culmen account".
std::string meant_command(std::string_view command, std::string_view word);

/// What to give in place of an option, as a sentence; empty: nothing is known.
std::string meant_option(std::string_view option);

/// Whether the command of that name destroys something: it is suggested only to who has typed nearly its name.
bool is_destructive(std::string_view command);

}  // namespace culmen::cli
