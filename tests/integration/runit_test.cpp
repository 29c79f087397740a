// culmen run under a service manager that is not systemd: runsv, which runs the program of a folder, starts it again
// when it ends, and sends it the signals that sv asks for.
#include <signal.h>
#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/text.hpp"
#include "support/unpacked_server.hpp"

using namespace cli_test;

namespace {

/// A folder with `run` and `finish`, under a runsv of its own. runit's `finish` gets the exit code, and the signal or
/// 0.
class RunitService {
 public:
  explicit RunitService(const std::vector<std::string>& command) {
    // Without runsv the program is not to go on.
    std::string script = "#!/bin/sh\nexec 2>&1\necho $$ > pid\nexec setpriv --pdeathsig=KILL --";
    for (const std::string& word : command) script += " '" + word + "'";
    add_program("run", script + "\n");
    add_program("finish", "#!/bin/sh\necho \"$1 $2\" >> ends\n");
    runsv_ = std::make_unique<Process>(std::vector<std::string>{program("runsv"), folder_.path().string()});
    if (!eventually([this] { return pid() > 0; })) throw std::runtime_error("runsv did not start: " + said());
  }

  Outcome sv(const std::string& command) const {
    return run({program("sv"), "-w", "20", command, folder_.path().string()});
  }
  /// Of the program. runsv's own file has that of `finish` at times.
  pid_t pid() const {
    pid_t number = 0;
    std::ifstream(folder_ / "pid") >> number;
    return number;
  }
  /// How it ended each time, a line each.
  std::string ends() const { return contents(folder_ / "ends"); }
  std::string said() const { return runsv_->out() + runsv_->err(); }
  Process& runsv() { return *runsv_; }

 private:
  static std::string program(const std::string& name) {
    return (server_test::unpacked_program("runit").parent_path() / name).string();
  }
  void add_program(const std::string& name, const std::string& script) {
    fs::permissions(folder_.write(name, script), fs::perms::owner_all);
  }

  culmen::test::TemporaryFolder folder_;
  std::unique_ptr<Process> runsv_;
};

int generation(const Client& client, const std::string& name) {
  return std::stoi(fs::read_symlink(client.certificate(name) / "live").string());
}

}  // namespace

TEST_CASE("run under runsv: renews, goes on after SIGKILL with the same state, and stops with exit code 0") {
  const TestCaProcess ca({"--lifetime", "12"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  RunitService service({culmen_path(), "run", "--dir", client.state().string()});
  const auto renews = [&] {
    const int before = generation(client, "a.example");
    return eventually([&] { return generation(client, "a.example") > before; });
  };
  const auto is_new_process = [&](pid_t old) {
    return eventually([&] { return service.pid() > 0 && service.pid() != old; });
  };
  CHECK(renews());

  pid_t old = service.pid();
  REQUIRE(kill(old, SIGKILL) == 0);
  CHECK(is_new_process(old));
  CHECK(service.ends() == "-1 9\n");
  CHECK(renews());

  old = service.pid();
  CHECK(service.sv("term").exit_code == 0);
  CHECK(is_new_process(old));
  CHECK(service.ends() == "-1 9\n0 0\n");
  CHECK(renews());

  const Outcome down = service.sv("down");
  CHECK_MESSAGE(down.exit_code == 0, down.out);
  CHECK(service.ends() == "-1 9\n0 0\n0 0\n");
  CHECK(contains(service.sv("status").out, "down: "));
  CHECK(service.sv("exit").exit_code == 0);
  CHECK(service.runsv().wait() == 0);
  CHECK(contains(service.said(), "Stopping\n"));
  CHECK(ca.logged("new-account") == 1);
}
