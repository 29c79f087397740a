#include <algorithm>
#include <cctype>
#include <sstream>
#include <stdexcept>

#include "pages.hpp"

namespace culmen::cli {

namespace {

// mdoc(7): "it is recommended to use these names, in this order."
const std::vector<std::string> section_order = {"NAME",
                                                "SYNOPSIS",
                                                "DESCRIPTION",
                                                "ENVIRONMENT",
                                                "FILES",
                                                "EXIT STATUS",
                                                "EXAMPLES",
                                                "SEE ALSO",
                                                "STANDARDS",
                                                "CAVEATS",
                                                "SECURITY CONSIDERATIONS"};

using Sections = std::map<std::string, std::string>;

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

/// A text as roff shows it unchanged.
std::string roff_text(const std::string& text) {
  std::string out;
  for (const char c : replaced(text, "…", "...")) {
    switch (c) {
      case '\\': out += "\\e"; break;
      case '-': out += "\\-"; break;  // a minus, which can be copied into a shell
      case '~': out += "\\(ti"; break;
      case '^': out += "\\(ha"; break;
      case '\'': out += "\\(aq"; break;
      case '`': out += "\\(ga"; break;
      case '"': out += "\\(dq"; break;
      default: out += c;
    }
  }
  if (out.starts_with('.')) out.insert(0, "\\&");
  return out;
}

/// A line of its own, or several: each sentence begins on a new one, as mdoc wants it.
std::string roff_sentences(const std::string& text) {
  std::string out = roff_text(text);
  for (std::size_t at = 0; (at = out.find(". ", at)) != std::string::npos; ++at) {
    if (at + 2 < out.size() && std::isupper(static_cast<unsigned char>(out[at + 2]))) out.replace(at, 2, ".\n");
  }
  return out + (out.ends_with('.') ? "\n" : ".\n");
}

/// One argument of a macro; the escape keeps a short word from being read as the name of a macro.
std::string macro_argument(const std::string& text) { return "\"\\&" + roff_text(text) + "\""; }

std::string word_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " , ") + ("Cm " + macro_argument(word));
  return text;
}

void write_option(std::ostream& out, const OptionDescription& option) {
  if (option.argument) {
    out << ".It Ar " << macro_argument(option.value) << "\n";
  } else {
    std::string names;
    for (const std::string& name : option.names)
      names += (names.empty() ? " Fl " : " , Fl ") + macro_argument(name.substr(1));
    out << ".It" << names;
    if (!option.value.empty()) out << " Ar " << macro_argument(option.value);
    out << "\n";
  }
  out << roff_sentences(option.help);
  const bool words_are_said = option.words.empty() || option.value.find('|') != std::string::npos ||
                              option.help.find(option.words.back()) != std::string::npos;
  if (!words_are_said) out << "Known values:\n." << word_list(option.words) << " .\n";
  if (!option.default_value.empty()) out << "The default is\n.Ql " << macro_argument(option.default_value) << " .\n";
  if (!option.environment.empty())
    out << "Also read from the environment variable\n.Ev " << option.environment << " .\n";
  if (option.required) out << "Required.\n";
  for (const std::string& other : option.excludes)
    out << "Cannot be used with\n.Fl " << macro_argument(other.substr(1)) << " .\n";
}

/// `heading_macro`: what comes before the name of a group of options.
void write_options(std::ostream& out, const CommandDescription& command, const std::string& heading_macro) {
  std::vector<std::string> headings;
  for (const OptionDescription& option : command.options) {
    if (std::find(headings.begin(), headings.end(), option.heading) == headings.end())
      headings.push_back(option.heading);
  }
  for (const std::string& heading : headings) {
    if (headings.size() > 1) out << heading_macro << roff_text(heading) << "\n";
    out << ".Bl -tag -width Ds\n";
    for (const bool argument : {true, false}) {
      for (const OptionDescription& option : command.options)
        if (option.heading == heading && option.argument == argument) write_option(out, option);
    }
    out << ".El\n";
  }
}

std::string synopsis(const CommandDescription& command, const std::string& words) {
  std::ostringstream out;
  out << ".Nm culmen\n.Cm " << words << "\n";
  for (const OptionDescription& option : command.options) {
    if (option.argument || !option.required) continue;
    out << ".Fl " << macro_argument(option.names.back().substr(1));
    if (!option.value.empty()) out << " Ar " << macro_argument(option.value);
    out << "\n";
  }
  out << ".Op Ar option ...\n";
  for (const OptionDescription& option : command.options) {
    if (!option.argument) continue;
    out << (option.required ? ".Ar " : ".Op Ar ") << macro_argument(option.value);
    out << (option.repeatable ? " ...\n" : "\n");
  }
  return out.str();
}

std::string examples(const CommandDescription& command) {
  std::string text;
  for (const std::string& line : command.examples) text += ".Dl " + roff_text(line) + "\n";
  for (const CommandDescription& sub : command.commands) text += examples(sub);
  return text;
}

/// The variables that options are read from.
std::string environment(const CommandDescription& command) {
  std::string text;
  for (const OptionDescription& option : command.options) {
    if (option.environment.empty()) continue;
    text += ".It Ev " + option.environment + "\nUsed where\n.Fl " + macro_argument(option.names.back().substr(1)) +
            "\nis not given.\n";
  }
  return text.empty() ? text : ".Bl -tag -width Ds\n" + text + ".El\n";
}

std::string title_of(const std::string& page) {
  std::string title;
  for (const char c : page) title += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return title;
}

std::string page_text(const std::string& page, const std::string& date, const Sections& sections) {
  std::string text = ".\\\" Written from the options of the program; do not edit.\n.Dd " + date + "\n.Dt " +
                     title_of(page) + " 1\n.Os\n";
  for (const std::string& name : section_order) {
    if (const auto found = sections.find(name); found != sections.end() && !found->second.empty())
      text += ".Sh " + name + "\n" + found->second;
  }
  return text;
}

/// What is written by hand comes after what is written from the options.
void append(Sections& sections, const ManualParts& parts, const std::string& page) {
  const auto found = parts.find(page);
  if (found == parts.end()) return;
  for (const auto& [name, text] : found->second) {
    std::string& section = sections[name];
    // A list makes a paragraph of its own.
    section += (section.empty() || text.starts_with(".Bl") ? "" : ".Pp\n") + text;
  }
}

std::string see_also(const CommandDescription& program, const std::string& page) {
  std::vector<std::string> others;
  if (page != program.name) others.push_back(program.name);
  for (const CommandDescription& command : program.commands) {
    if (const std::string name = program.name + "-" + command.name; name != page) others.push_back(name);
  }
  std::sort(others.begin(), others.end());
  std::string text;
  for (const std::string& other : others) text += ".Xr " + other + " 1" + (other == others.back() ? "\n" : " ,\n");
  return text;
}

std::string program_page(const CommandDescription& program, const ManualParts& parts, const std::string& date) {
  Sections sections;
  sections["NAME"] = ".Nm culmen\n.Nd certificates from an ACME CA, kept up to date\n";
  sections["SYNOPSIS"] = ".Nm culmen\n.Ar command\n.Op Ar option ...\n";
  append(sections, parts, program.name);
  std::ostringstream out;
  std::string heading;
  for (const CommandDescription& command : program.commands) {
    if (command.heading != heading) {
      out << (heading.empty() ? "" : ".El\n") << ".Ss " << roff_text(command.heading) << "\n.Bl -tag -width Ds\n";
      heading = command.heading;
    }
    out << ".It Xr " << program.name << "-" << command.name << " 1\n" << roff_sentences(command.help);
  }
  out << ".El\n.Ss Options\n";
  write_options(out, program, ".Ss ");
  sections["DESCRIPTION"] += out.str();
  sections["SEE ALSO"] = see_also(program, program.name);
  append(sections, parts, "every");
  return page_text(program.name, date, sections);
}

std::string command_page(const CommandDescription& program, const CommandDescription& command, const ManualParts& parts,
                         const std::string& date) {
  const std::string page = program.name + "-" + command.name;
  Sections sections;
  // A phrase: the first sentence, which begins small.
  std::string phrase = command.help.substr(0, command.help.find(". "));
  phrase.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(phrase.front())));
  sections["NAME"] = ".Nm " + page + "\n.Nd " + roff_text(phrase) + "\n";
  std::ostringstream description;
  description << roff_sentences(command.help);
  if (const auto found = parts.find(page); found != parts.end() && found->second.contains("DESCRIPTION"))
    description << ".Pp\n" << found->second.at("DESCRIPTION");
  if (command.commands.empty()) {
    sections["SYNOPSIS"] = synopsis(command, command.name);
    write_options(description, command, ".Ss ");
  }
  for (const CommandDescription& sub : command.commands) {
    sections["SYNOPSIS"] += synopsis(sub, command.name + " " + sub.name);
    description << ".Ss culmen " << command.name << " " << sub.name << "\n" << roff_sentences(sub.help);
    write_options(description, sub, ".Pp\n.Sy ");
    sections["ENVIRONMENT"] += environment(sub);
  }
  sections["ENVIRONMENT"] += environment(command);
  sections["EXAMPLES"] = examples(command);
  sections["SEE ALSO"] = see_also(program, page);
  append(sections, parts, page);
  append(sections, parts, "every");
  sections["DESCRIPTION"] = description.str();
  return page_text(page, date, sections);
}

}  // namespace

void add_parts(ManualParts& parts, const std::string& page, const std::string& text) {
  std::istringstream lines(text);
  std::string* section = nullptr;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(".Sh ")) {
      section = &parts[page][line.substr(4)];
    } else if (section) {
      *section += line + "\n";
    } else {
      throw std::invalid_argument(page + ": there is text before the first .Sh");
    }
  }
}

std::map<std::string, std::string> manual_pages(const CommandDescription& program, const ManualParts& parts,
                                                const std::string& date) {
  std::map<std::string, std::string> pages;
  pages[program.name + ".1"] = program_page(program, parts, date);
  for (const CommandDescription& command : program.commands)
    pages[program.name + "-" + command.name + ".1"] = command_page(program, command, parts, date);
  for (const auto& [page, sections] : parts) {
    if (page != "every" && !pages.contains(page + ".1"))
      throw std::invalid_argument("there is a hand-written part for " + page + ", which is not a command");
    for (const auto& [name, text] : sections) {
      if (std::find(section_order.begin(), section_order.end(), name) == section_order.end())
        throw std::invalid_argument(page + ": " + name + " is not a section of these pages");
    }
  }
  return pages;
}

}  // namespace culmen::cli
