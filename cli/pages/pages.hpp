// What is written from the command line of the program while it is built: manual pages and completion.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/command_line.hpp"

namespace culmen::cli {

/// Every command with all its options, defined as for --help.
CommandDescription whole_command_line();

/// Sections of manual pages that are written by hand, in mdoc(7): the text below each ".Sh", by page ("culmen-issue",
/// "every": what all pages have) and name of the section.
using ManualParts = std::map<std::string, std::map<std::string, std::string>>;
/// Adds the sections of one file. Throws std::invalid_argument for text before the first section.
void add_parts(ManualParts& parts, const std::string& page, const std::string& text);

/// The pages of the program and its commands in mdoc(7), by name of the file: "culmen.1", "culmen-issue.1", … `date` as
/// "November 28, 2026". Throws std::invalid_argument for parts whose page or section does not exist.
std::map<std::string, std::string> manual_pages(const CommandDescription& program, const ManualParts& parts,
                                                const std::string& date);

// Scripts for shells. They offer commands, options, values that are known, files, and names of certificates, for which
// they run `culmen list --names`.
std::string bash_completion(const CommandDescription& program);
std::string zsh_completion(const CommandDescription& program);
std::string fish_completion(const CommandDescription& program);

}  // namespace culmen::cli
