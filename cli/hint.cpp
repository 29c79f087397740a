#include "hint.hpp"

#include <algorithm>
#include <cctype>

#include "storage_url.hpp"

namespace culmen::cli {

namespace {

std::string& repeated_options() {
  static std::string options;
  return options;
}

/// As a shell takes it for one word.
std::string as_shell_word(const std::string& word) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c >= 0x80 ||
           std::string_view("/._-:=@%+,").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

void remember_for_hints(const std::vector<std::string>& words) {
  std::string& options = repeated_options();
  options.clear();
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const std::string option : {"--dir", "--storage"}) {
      std::string value;
      if (words[i] == option && i + 1 < words.size()) value = words[i + 1];
      if (words[i].starts_with(option + "=")) value = words[i].substr(option.size() + 1);
      if (value.empty()) continue;
      options += " " + option + " " + as_shell_word(option == "--storage" ? shown_url(value) : value);
    }
  }
}

std::string hint(const std::string& command) { return "culmen " + command + repeated_options(); }

}  // namespace culmen::cli
