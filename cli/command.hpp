// What main() knows about the sub-commands: each is one file, defined here.
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

namespace culmen::cli {

class Output;

/// Exit codes; documented in --help and docs/cli.md.
enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_temporary = 3,
  exit_refused = 4,
  exit_interrupted = 130,
};

/// Does the work once the command line is read. Throws Error and Failure.
using Run = std::function<int(Output&)>;

Run define_issue(CLI::App& app);
Run define_renew(CLI::App& app);
Run define_revoke(CLI::App& app);
Run define_account(CLI::App& app);
Run define_ca(CLI::App& app);
Run define_import(CLI::App& app);
Run define_install(CLI::App& app);
Run define_test_ca(CLI::App& app);

}  // namespace culmen::cli
