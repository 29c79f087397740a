// The built program against a test CA in this process, which can misbehave in ways that its command line does not
// offer.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "culmen/test_ca.hpp"
#include "support/culmen_program.hpp"

namespace cli_test {

/// A CA that believes everybody, and a state folder. Challenges are served on a free port of the program's.
struct ProgramAtCa {
  explicit ProgramAtCa(culmen::TestCaOptions options = believing()) : ca(with_root(std::move(options), folder)) {
    ca.start();
  }

  static culmen::TestCaOptions believing() {
    culmen::TestCaOptions options;
    options.skip_validation = true;
    return options;
  }

  fs::path state() const { return folder / "state"; }
  fs::path certificate(const std::string& name) const { return state() / "certificates" / name; }
  /// `culmen <command> --server … --server-ca … --dir …`
  std::vector<std::string> words(std::vector<std::string> command, fs::path in = {}) const {
    command.insert(command.begin(), culmen_path());
    command.insert(command.end(), {"--server", ca.directory_url(), "--server-ca", folder / "root.pem", "--dir",
                                   in.empty() ? state() : in});
    return command;
  }
  std::vector<std::string> issue_words(const std::vector<std::string>& names,
                                       const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command = {"issue", "--agree-tos"};
    for (const std::string& name : names) command.insert(command.end(), {"-d", name});
    const bool has_solver = std::find(more.begin(), more.end(), "--challenge") != more.end();
    if (!has_solver) command.insert(command.end(), {"--http-address", "127.0.0.1", "--http-port", "0"});
    command.insert(command.end(), more.begin(), more.end());
    return words(std::move(command));
  }
  Outcome culmen(std::vector<std::string> command, const std::vector<std::string>& environment = {}) const {
    return run(words(std::move(command)), environment);
  }
  Outcome issue(const std::vector<std::string>& names, const std::vector<std::string>& more = {}) const {
    return run(issue_words(names, more));
  }
  /// `culmen renew --dir …`: the rest is remembered.
  Outcome renew(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {culmen_path(), "renew", "--dir", state()});
    return run(more);
  }
  int requests(const std::string& resource) const { return ca.request_counts()[resource]; }

  culmen::test::TemporaryFolder folder;
  culmen::TestCa ca;

 private:
  static culmen::TestCaOptions with_root(culmen::TestCaOptions options, const culmen::test::TemporaryFolder& folder) {
    options.root_file = folder / "root.pem";
    if (!options.validate) options.skip_validation = true;
    return options;
  }
};

}  // namespace cli_test
