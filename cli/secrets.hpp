// What may hold a password or a key, as messages and logs show it: when in doubt, nothing of the value.
#pragma once

#include <string>
#include <string_view>

namespace culmen::cli {

/// A storage URL without passwords. Of a text that is not a well-formed storage URL only the scheme is shown.
std::string shown_url(std::string_view url);

/// Whether a storage URL has a password in it, or may have one: a URL of a database that is not well-formed.
bool has_password(std::string_view url);

/// The URL of a server without user and password: "https://***@host/path".
std::string shown_server(std::string_view url);

/// A word of the command line that was not understood: without what follows "=", and without what looks like a URL.
std::string shown_word(std::string_view word);

}  // namespace culmen::cli
