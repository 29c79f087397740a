// What the list of commands knows of each: a file defines it.
#pragma once

namespace culmen::cli {

class Command;

/// Exit codes; documented in --help and docs/cli.md.
enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_temporary = 3,
  exit_refused = 4,
  exit_interrupted = 130,
};

// Each defines the options and the action of one sub-command.
void define_issue(Command& command);
void define_renew(Command& command);
void define_run(Command& command);
void define_list(Command& command);
void define_status(Command& command);
void define_delete(Command& command);
void define_demo(Command& command);
void define_rename(Command& command);
void define_edit(Command& command);
void define_revoke(Command& command);
void define_rehearse(Command& command);
void define_account(Command& command);
void define_ca(Command& command);
void define_check(Command& command);
void define_import(Command& command);
void define_install(Command& command);
void define_storage(Command& command);
void define_test(Command& command);
void define_test_ca(Command& command);

}  // namespace culmen::cli
