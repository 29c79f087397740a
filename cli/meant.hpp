// What somebody means who knows another client.
#pragma once

#include <string>
#include <string_view>

namespace culmen::cli {

/// The words that do here what `word` does elsewhere, such as "list" for "certificates", or a sentence, which ends with
/// a full stop; empty: none is known. `command` is what the word follows, such as "culmen" or "culmen account".
std::string meant_command(std::string_view command, std::string_view word);

/// What to give in place of an option of that command, as a sentence; empty: nothing is known.
std::string meant_option(std::string_view command, std::string_view option);

/// What to do with a word that is one too many, as a sentence; empty: nothing is known.
std::string meant_argument(std::string_view command, std::string_view word);

/// Whether the command of that name destroys something: it is suggested only to who has typed nearly its name.
bool is_destructive(std::string_view command);

}  // namespace culmen::cli
