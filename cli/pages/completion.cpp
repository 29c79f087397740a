#include <algorithm>
#include <cctype>

#include "pages.hpp"

namespace culmen::cli {

namespace {

constexpr const char* notice = " completion for culmen. Written from the options of the program; do not edit.\n";

enum class Offer { nothing, words, files, folders, certificates, groups, users };

Offer offer_of(const OptionDescription& option) {
  if (option.certificate) return Offer::certificates;
  if (!option.words.empty()) return Offer::words;
  if (option.value == "FILE" || option.value == "PROGRAM") return Offer::files;
  if (option.value == "FOLDER") return Offer::folders;
  if (option.value == "GROUP") return Offer::groups;
  if (option.value == "USER") return Offer::users;
  return Offer::nothing;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

/// For a shell, in single quotes.
std::string in_quotes(const std::string& text, const std::string& quote) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? quote : std::string(1, c);
  return out + "'";
}

/// The help up to where details begin: completion has one line for it.
std::string short_help(const std::string& help) {
  std::string text = help.substr(0, help.find_first_of(";\n"));
  if (const std::size_t colon = text.find(": "); colon != std::string::npos && colon > 12) text.resize(colon);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

/// "--reuse-key" for "--no-reuse-key" of the same option; empty: the name does not switch it off.
std::string opposite(const OptionDescription& option, const std::string& name) {
  if (!name.starts_with("--no-")) return {};
  const std::string other = "--" + name.substr(5);
  return std::find(option.names.begin(), option.names.end(), other) == option.names.end() ? std::string() : other;
}

std::string help_of(const OptionDescription& option, const std::string& name) {
  const std::string other = opposite(option, name);
  return other.empty() ? short_help(option.help) : "Not " + other;
}

std::vector<std::string> names_of(const std::vector<CommandDescription>& commands) {
  std::vector<std::string> names;
  for (const CommandDescription& command : commands) names.push_back(command.name);
  return names;
}

/// What the words without an option before them are. Only one kind is offered.
const OptionDescription* first_argument(const CommandDescription& command) {
  for (const OptionDescription& option : command.options) {
    if (option.argument && offer_of(option) != Offer::nothing) return &option;
  }
  return nullptr;
}

/// Visits a command and all below it. `path`: "" for the program, "/account/register" for a command below a command.
template <class Visit>
void visit_all(const CommandDescription& command, const std::string& path, const Visit& visit) {
  visit(command, path);
  for (const CommandDescription& sub : command.commands) visit_all(sub, path + "/" + sub.name, visit);
}

// ---- bash
// ------------------------------------------------------------------------------------------------------------

constexpr const char* bash_quote = "'\\''";

std::string bash_offer(const OptionDescription& option) {
  switch (offer_of(option)) {
    case Offer::words: return "_culmen_reply -W " + in_quotes(joined(option.words, " "), bash_quote);
    case Offer::files: return "compopt -o filenames 2> /dev/null; _culmen_reply -f";
    case Offer::folders: return "compopt -o filenames 2> /dev/null; _culmen_reply -d";
    case Offer::certificates: return "_culmen_reply -W \"$(_culmen_certificates)\"";
    case Offer::groups: return "_culmen_reply -g";
    case Offer::users: return "_culmen_reply -u";
    case Offer::nothing: break;
  }
  return ":";
}

// readline splits at ":" and "=", which key types and "--name=value" have in them. `words` is the line without that,
// and of each reply only what comes after the last such character is given back.
constexpr const char* bash_begin = R"sh(_culmen_words() {
  local rest=${COMP_LINE:0:COMP_POINT} word i
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i > 0)) && [[ $rest != [[:space:]]* ]]; then
      words[${#words[@]} - 1]+=$word
    else
      words+=("$word")
      rest=${rest#"${rest%%[![:space:]]*}"}
    fi
    rest=${rest#"$word"}
  done
}

_culmen_reply() {
  local word skip=''
  [[ $COMP_WORDBREAKS == *:* ]] && skip=${cur%"${cur##*:}"}
  while IFS= read -r word; do COMPREPLY+=("${word#"$skip"}"); done < <(compgen "$@" -- "$cur")
}

_culmen_certificates() {
  local i state=()
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    case ${words[i]} in
      --dir | --storage) state+=("${words[i]}" "${words[i + 1]}") ;;
      --dir=* | --storage=*) state+=("${words[i]}") ;;
    esac
  done
  "${words[0]}" list --names "${state[@]}" 2> /dev/null
}

_culmen() {
  local words cur prev path='' word
  COMPREPLY=()
  _culmen_words
  cur=${words[${#words[@]} - 1]}
  prev=${words[${#words[@]} - 2]}
  if [[ $cur == --*=* ]]; then
    prev=${cur%%=*}
    cur=${cur#*=}
  fi
)sh";

// ---- zsh
// -------------------------------------------------------------------------------------------------------------

std::string escaped(const std::string& text, const std::string& special) {
  std::string out;
  for (const char c : text) out += special.find(c) == std::string::npos ? std::string(1, c) : std::string("\\") + c;
  return out;
}

std::string zsh_offer(const OptionDescription& option) {
  const std::string message = escaped(option.value, ":\\[]");
  switch (offer_of(option)) {
    case Offer::words: return message + ":(" + escaped(joined(option.words, " "), ":\\()") + ")";
    case Offer::files: return message + ":_files";
    case Offer::folders: return message + ":_files -/";
    case Offer::certificates: return message + ":_culmen_certificates";
    case Offer::groups: return message + ":_groups";
    case Offer::users: return message + ":_users";
    case Offer::nothing: break;
  }
  return message + ": ";
}

std::string zsh_function(const std::string& path) {
  std::string name = "_culmen" + path;
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

/// One line of _arguments for each name of the option.
std::string zsh_option(const OptionDescription& option) {
  std::string text;
  for (const std::string& name : option.names) {
    std::string spec = option.repeatable ? "*" : "(" + joined(option.names, " ") + ")";
    spec += name;
    if (!option.value.empty() && name.starts_with("--")) spec += "=";
    spec += "[" + escaped(help_of(option, name), ":\\[]") + "]";
    if (!option.value.empty()) spec += ":" + zsh_offer(option);
    text += " \\\n    " + in_quotes(spec, bash_quote);
  }
  return text;
}

std::string zsh_command(const CommandDescription& command, const std::string& path) {
  std::string text = zsh_function(path) + "() {\n";
  if (!command.commands.empty()) text += "  local context state state_descr line\n  typeset -A opt_args\n";
  text += command.commands.empty() ? "  _arguments -s" : "  _arguments -s -C";
  for (const OptionDescription& option : command.options) {
    if (!option.argument) text += zsh_option(option);
  }
  if (command.commands.empty()) {
    for (const OptionDescription& option : command.options) {
      if (!option.argument) continue;
      text += " \\\n    " + in_quotes((option.repeatable ? "*:" : ":") + zsh_offer(option), bash_quote);
    }
    return text + "\n}\n\n";
  }
  std::string commands;
  for (const CommandDescription& sub : command.commands)
    commands +=
        (commands.empty() ? "" : " ") + sub.name + "\\:" + "\"" + escaped(short_help(sub.help), ":\\\"$`[]") + "\"";
  text += " \\\n    " + in_quotes("1:command:((" + commands + "))", bash_quote);
  text += " \\\n    '*::argument:->rest'\n  case $line[1] in\n";
  for (const CommandDescription& sub : command.commands)
    text += "    " + sub.name + ") " + zsh_function(path + "/" + sub.name) + " ;;\n";
  return text + "  esac\n}\n\n";
}

constexpr const char* zsh_certificates = R"sh(_culmen_certificates() {
  local -a names place
  local option
  for option in --dir --storage; do
    [[ -n $opt_args[$option] ]] && place+=($option $opt_args[$option])
  done
  names=(${(f)"$(_call_program certificates culmen list --names $place 2> /dev/null)"})
  compadd -a names
}

)sh";

// ---- fish
// ------------------------------------------------------------------------------------------------------------

constexpr const char* fish_quote = "\\'";

std::string fish_offer(const OptionDescription& option) {
  switch (offer_of(option)) {
    case Offer::words: return " -x -a " + in_quotes(joined(option.words, " "), fish_quote);
    case Offer::files: return " -r -F";
    case Offer::folders: return " -x -a '(__fish_complete_directories)'";
    case Offer::certificates: return " -x -a '(__culmen_certificates)'";
    case Offer::groups: return " -x -a '(__fish_complete_groups)'";
    case Offer::users: return " -x -a '(__fish_complete_users)'";
    case Offer::nothing: break;
  }
  return option.value.empty() ? "" : " -x";
}

/// When the command line has come to this command, and to none below it.
std::string fish_condition(const CommandDescription& command, const std::string& path) {
  if (path.empty()) return "__fish_use_subcommand";
  std::string condition = "__fish_seen_subcommand_from " + path.substr(1);
  for (std::size_t at = 0; (at = condition.find('/')) != std::string::npos;)
    condition.replace(at, 1, "; and __fish_seen_subcommand_from ");
  if (command.commands.empty()) return condition;
  return condition + "; and not __fish_seen_subcommand_from " + joined(names_of(command.commands), " ");
}

constexpr const char* fish_begin = R"sh(
function __culmen_certificates
    set -l words (commandline -opc)
    set -l options
    for i in (seq 2 (math (count $words) - 1))
        if contains -- $words[$i] --dir --storage
            set -a options $words[$i] $words[(math $i + 1)]
        end
    end
    culmen list --names $options 2>/dev/null
end

complete -c culmen -f
)sh";

}  // namespace

std::string bash_completion(const CommandDescription& program) {
  std::string children, values, commands;
  visit_all(program, "", [&](const CommandDescription& command, const std::string& path) {
    if (!path.empty()) children += (children.empty() ? "" : " | ") + path;
    std::map<std::string, std::vector<std::string>> by_offer;
    std::vector<std::string> words = names_of(command.commands);
    for (const OptionDescription& option : command.options) {
      if (option.argument) continue;
      if (const std::string other = opposite(option, option.names.back()); !other.empty()) words.push_back(other);
      words.push_back(option.names.back());
      if (option.value.empty()) continue;
      for (const std::string& name : option.names)
        by_offer[bash_offer(option)].push_back("'" + path + " " + name + "'");
    }
    for (const auto& [offer, patterns] : by_offer)
      values += "    " + joined(patterns, " | ") + ")\n      " + offer + "\n      return\n      ;;\n";
    commands += "    '" + path + "')\n";
    if (const OptionDescription* argument = first_argument(command))
      commands += "      if [[ $cur != -* ]]; then\n        " + bash_offer(*argument) + "\n        return\n      fi\n";
    commands += "      _culmen_reply -W " + in_quotes(joined(words, " "), bash_quote) + "\n      ;;\n";
  });
  return std::string("# bash") + notice + "# shellcheck shell=bash\n\n" + bash_begin +
         "  for word in \"${words[@]:1:${#words[@]}-2}\"; do\n    case $path/$word in\n      " + children +
         ") path+=/$word ;;\n    esac\n  done\n  case \"$path $prev\" in\n" + values + "  esac\n  case $path in\n" +
         commands + "  esac\n}\n\ncomplete -F _culmen culmen\n";
}

std::string zsh_completion(const CommandDescription& program) {
  std::string text = std::string("#compdef culmen\n# zsh") + notice + "\n" + zsh_certificates;
  visit_all(program, "",
            [&](const CommandDescription& command, const std::string& path) { text += zsh_command(command, path); });
  return text + "if [[ $funcstack[1] == _culmen ]]; then\n  _culmen \"$@\"\nelse\n  compdef _culmen culmen\nfi\n";
}

std::string fish_completion(const CommandDescription& program) {
  std::string text = std::string("# fish") + notice + fish_begin;
  visit_all(program, "", [&](const CommandDescription& command, const std::string& path) {
    const std::string begin = "complete -c culmen -n " + in_quotes(fish_condition(command, path), fish_quote);
    for (const CommandDescription& sub : command.commands)
      text += begin + " -a " + sub.name + " -d " + in_quotes(short_help(sub.help), fish_quote) + "\n";
    for (const OptionDescription& option : command.options) {
      if (option.argument) continue;
      std::string names, off;
      for (const std::string& name : option.names) {
        const std::string spec = name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
        if (opposite(option, name).empty())
          names += spec;
        else
          off += begin + spec + " -d " + in_quotes(help_of(option, name), fish_quote) + "\n";
      }
      text += begin + names + fish_offer(option) + " -d " + in_quotes(short_help(option.help), fish_quote) + "\n" + off;
    }
    if (const OptionDescription* argument = first_argument(command)) text += begin + fish_offer(*argument) + "\n";
  });
  return text;
}

}  // namespace culmen::cli
