// culmen install timer: the units, and what is not overwritten.
#include <fstream>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;

namespace {

/// A folder for units, and the name of a state folder that is not there yet.
struct InstallBench {
  culmen::test::TemporaryFolder folder;
  std::string units = (folder / "units").string();
  std::string state = (folder / "state").string();

  InstallBench() { fs::create_directory(units); }
  Outcome install(std::vector<std::string> more = {}, const std::string& what = "timer",
                  const std::vector<std::string>& environment = {}) const {
    std::vector<std::string> words = {culmen_path(), "install", what, "--systemd-dir", units, "--dir", state};
    words.insert(words.end(), more.begin(), more.end());
    return run(words, environment);
  }
  fs::path service() const { return fs::path(units) / "culmen-renew.service"; }
  fs::path timer() const { return fs::path(units) / "culmen-renew.timer"; }
};

}  // namespace

TEST_CASE("install timer: writes both units and says what is next") {
  const InstallBench bench;
  const Outcome outcome = bench.install({"--on-calendar", "Mon..Fri *-*-* 04:30", "--user", "www-data"});
  INFO(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "systemctl daemon-reload\n  systemctl enable --now culmen-renew.timer\n"));
  const std::string service = contents(bench.service()), timer = contents(bench.timer());
  CHECK(service.starts_with("# Written by: culmen install timer"));
  CHECK(contains(service, "\nType=oneshot\nExecStart=\"" + fs::canonical(culmen_path()).string() + "\" renew --dir \"" +
                              bench.state + "\"\n"));
  CHECK(contains(service, "\nUser=www-data\n"));
  for (const char* line : {"NoNewPrivileges=yes", "ProtectSystem=strict", "AmbientCapabilities=CAP_NET_BIND_SERVICE",
                           "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"}) {
    CHECK(contains(service, "\n" + std::string(line) + "\n"));
  }
  CHECK(contains(service, "\nReadWritePaths=\"-" + bench.state + "\"\n"));
  CHECK(contains(timer, "\nOnCalendar=Mon..Fri *-*-* 04:30\n"));
  CHECK(contains(timer, "\nRandomizedDelaySec=12h\n"));
  CHECK(contains(timer, "\nPersistent=true\n"));
  CHECK(contains(timer, "\nWantedBy=timers.target\n"));
  CHECK(mode_of(bench.service()) == 0644);
  CHECK_FALSE(fs::exists(bench.state));
}

TEST_CASE("install timer: --print-only writes nothing") {
  const InstallBench bench;
  const Outcome spoken = bench.install({"--print-only"});
  CHECK(spoken.exit_code == 0);
  CHECK(contains(spoken.out, "[Service]\n"));
  CHECK(contains(spoken.out, "[Timer]\n"));
  const json::object said = bench.install({"--print-only", "--json"}).json();
  CHECK(said.at("changed") == false);
  CHECK(contains(std::string(said.at("service_text").as_string()), "[Service]\n"));
  CHECK(contains(std::string(said.at("timer_text").as_string()), "OnCalendar=*-*-* 00,12:00:00\n"));
  CHECK(fs::is_empty(bench.units));
}

TEST_CASE("install timer: blanks, %, $ and quotes in paths") {
  const InstallBench bench;
  const Outcome outcome = run({culmen_path(), "install", "timer", "--print-only", "--dir",
                               "/srv/my certs/100%h/$x/\"q\\", "--writable", "/srv/hook 50%"});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, R"( renew --dir "/srv/my certs/100%%h/$$x/\"q\\")"
                              "\n"));
  CHECK(contains(outcome.out, R"(ReadWritePaths="-/srv/my certs/100%%h/$x/\"q\\")"
                              "\n"));
  CHECK(contains(outcome.out, "ReadWritePaths=\"-/srv/hook 50%%\"\n"));
  CHECK(run({culmen_path(), "install", "timer", "--print-only", "--dir", "/srv/a\nExecStart=/bin/evil"}).exit_code ==
        2);
  CHECK(run({culmen_path(), "install", "timer", "--print-only", "--on-calendar", "daily\nUnit=x"}).exit_code == 2);
  CHECK(run({culmen_path(), "install", "timer", "--print-only", "--user", "a b"}).exit_code == 2);
}

TEST_CASE("install timer: its own units are replaced, others are not") {
  const InstallBench bench;
  REQUIRE(bench.install({"--json"}).json().at("changed") == true);
  CHECK(bench.install({"--json"}).json().at("changed") == false);
  CHECK(bench.install({"--on-calendar", "hourly", "--json"}).json().at("changed") == true);
  CHECK(contains(contents(bench.timer()), "OnCalendar=hourly\n"));

  const std::string foreign = "[Timer]\nOnCalendar=weekly\n";
  fs::remove(bench.service());
  std::ofstream(bench.timer()) << foreign;
  const Outcome refused = bench.install();
  CHECK(refused.exit_code == 1);
  CHECK(contains(refused.err, bench.timer().string() + " is there already, and culmen did not write it"));
  CHECK(contains(refused.err, "--force"));
  CHECK(contents(bench.timer()) == foreign);
  CHECK_FALSE(fs::exists(bench.service()));  // both or none
  CHECK(bench.install({"--force"}).exit_code == 0);
  CHECK(contains(contents(bench.timer()), "Persistent=true\n"));
  CHECK(fs::exists(bench.service()));

  const Outcome nowhere = run({culmen_path(), "install", "timer", "--systemd-dir", (bench.folder / "none").string()});
  CHECK(nowhere.exit_code == 1);
  CHECK(contains(nowhere.err, "--systemd-dir"));
}

TEST_CASE("install: options of before hold until they are given anew, and are named") {
  const InstallBench bench;
  const std::vector<std::string> options = {"--user",     "nobody", "--on-failure-unit", "mail@culmen.service",
                                            "--writable", "/srv/a", "--writable",        "/srv/b 1"};
  for (const std::string kind : {"timer", "service"}) {
    CAPTURE(kind);
    const fs::path unit = kind == "timer" ? bench.service() : fs::path(bench.units) / "culmen.service";
    std::vector<std::string> first = options;
    if (kind == "timer") first.insert(first.end(), {"--on-calendar", "hourly"});
    const Outcome fresh = bench.install(first, kind);
    CHECK_FALSE(contains(fresh.out, "Kept"));
    CHECK(contains(fresh.err, "there is no state folder " + bench.state));
    const std::string before = contents(unit);
    const Outcome again = bench.install({}, kind);
    CHECK(again.exit_code == 0);
    CHECK(contents(unit) == before);
    CHECK(contains(again.out,
                   "Kept from the units that are there: --user nobody, --on-failure-unit mail@culmen.service, "));
    CHECK(contains(again.out, "--writable /srv/a, --writable /srv/b 1"));
    // Given anew, or empty, they do not hold.
    REQUIRE(bench.install({"--writable", "/srv/c", "--user", ""}, kind).exit_code == 0);
    const std::string changed = contents(unit);
    CHECK(contains(changed, "/srv/c\""));
    CHECK_FALSE(contains(changed, "/srv/a"));
    CHECK_FALSE(contains(changed, "User=nobody"));
    CHECK(contains(changed, "OnFailure=mail@culmen.service\n"));
  }
  CHECK(contains(contents(bench.timer()), "OnCalendar=hourly\n"));
  REQUIRE(bench.install({"--on-calendar", ""}).exit_code == 0);
  CHECK(contains(contents(bench.timer()), "OnCalendar=*-*-* 00,12:00:00\n"));
  fs::create_directory(bench.state);
  CHECK_FALSE(contains(bench.install().err, "no state folder"));
}

TEST_CASE("install --uninstall: removes what culmen wrote, and nothing else") {
  const InstallBench bench;
  REQUIRE(bench.install({}, "timer", {"https_proxy=http://me:secret@proxy.example"}).exit_code == 0);
  REQUIRE(bench.install({}, "service", {"https_proxy=http://me:secret@proxy.example"}).exit_code == 0);
  const fs::path proxy = fs::path(bench.state) / "local/proxy.env";
  REQUIRE(fs::exists(proxy));
  const fs::path wants = fs::path(bench.units) / "timers.target.wants";
  fs::create_directory(wants);
  fs::create_symlink(bench.timer(), wants / "culmen-renew.timer");
  fs::create_symlink("/usr/lib/systemd/system/other.timer", wants / "other.timer");

  const Outcome outcome = bench.install({"--uninstall"});
  CHECK_MESSAGE(outcome.exit_code == 0, outcome.err);
  CHECK(contains(outcome.out, "Removed " + bench.service().string()));
  CHECK(contains(outcome.out, "systemctl stop culmen-renew.timer\n  systemctl daemon-reload"));
  CHECK(contains(outcome.out, "culmen.service is there, and renews them if it is enabled"));
  CHECK_FALSE(fs::exists(bench.timer()));
  CHECK_FALSE(fs::exists(bench.service()));
  CHECK_FALSE(fs::is_symlink(wants / "culmen-renew.timer"));
  CHECK(fs::is_symlink(wants / "other.timer"));
  CHECK(fs::exists(fs::path(bench.units) / "culmen.service"));
  CHECK(fs::exists(proxy));  // the service reads it
  CHECK(contains(bench.install({"--uninstall"}).out, "Nothing to do"));
  const Outcome last = bench.install({"--uninstall"}, "service");
  CHECK(last.exit_code == 0);
  CHECK(contains(last.out, "nothing renews them now"));
  CHECK_FALSE(fs::exists(proxy));

  std::ofstream(bench.timer()) << "[Timer]\nOnCalendar=weekly\n";
  CHECK(bench.install({"--uninstall"}).exit_code == 1);
  CHECK(fs::exists(bench.timer()));
}

TEST_CASE("install timer: what renewals write to may be written to") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder elsewhere;
  fs::create_directories(elsewhere / "keys");
  REQUIRE(
      client.issue({"a.example"}, {"--cert-key", (elsewhere / "keys/a.pem").string(), "--http-port", ca.http_port()})
          .exit_code == 0);
  const Outcome outcome = run({culmen_path(), "install", "timer", "--print-only", "--dir", client.state().string()});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "ReadWritePaths=\"-" + client.state().string() + "\"\n"));
  CHECK(contains(outcome.out, "ReadWritePaths=\"-" + (elsewhere / "keys").string() + "\"\n"));
  // A private /tmp would not have it.
  CHECK(
      contains(run({culmen_path(), "install", "timer", "--print-only", "--dir", "/tmp/state"}).out, "PrivateTmp=no\n"));
}

namespace {
/// Whether systemd's own tool is here: it needs no systemd that runs.
bool has_systemd_analyze() { return run({"sh", "-c", "command -v systemd-analyze"}).exit_code == 0; }
}  // namespace

TEST_CASE("install service: a unit for culmen run, with the sandbox of the timer's") {
  const InstallBench bench;
  const Outcome outcome = bench.install({"--on-failure-unit", "tell@%n.service", "--writable", "/srv/x"}, "service");
  INFO(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "systemctl enable --now culmen.service"));
  const fs::path unit = fs::path(bench.units) / "culmen.service";
  const std::string text = contents(unit);
  for (const char* line : {"Type=notify", "WatchdogSec=5min", "Restart=on-failure", "OnFailure=tell@%n.service",
                           "ExecReload=/bin/kill -HUP $MAINPID", "WantedBy=multi-user.target"}) {
    CHECK(contains(text, "\n" + std::string(line) + "\n"));
  }
  CHECK(contains(text, "\" run --dir \"" + bench.state + "\"\n"));
  REQUIRE(bench.install({"--on-failure-unit", "tell@%n.service", "--writable", "/srv/x"}).exit_code == 0);
  const auto sandbox = [](const std::string& of) {
    return of.substr(of.find("AmbientCapabilities="),
                     of.find("SystemCallArchitectures=") - of.find("AmbientCapabilities="));
  };
  CHECK(sandbox(text) == sandbox(contents(bench.service())));
  CHECK(contains(contents(bench.service()), "\nOnFailure=tell@%n.service\n"));
  CHECK(contains(bench.install({}, "service").out, "systemctl disable --now culmen-renew.timer"));
  CHECK(bench.install({"--on-failure-unit", "a b.service"}, "service").exit_code == 2);
  CHECK(bench.install({"--on-failure-unit", "nounit"}, "service").exit_code == 2);

  if (!has_systemd_analyze()) return;
  for (const fs::path& each : {unit, bench.service(), bench.timer()}) {
    const Outcome verified = run({"systemd-analyze", "verify", "--man=no", each.string()});
    CAPTURE(each);
    INFO(verified.err);
    CHECK(verified.exit_code == 0);
    CHECK_FALSE(contains(verified.err, each.filename().string() + ":"));  // a line that it does not like
  }
  // 10 is no sandbox at all.
  for (const fs::path& each : {unit, bench.service()}) {
    const Outcome rated = run({"systemd-analyze", "security", "--offline=true", "--threshold=45", each.string()});
    INFO(rated.out << rated.err);
    CHECK(rated.exit_code == 0);
  }
}

TEST_CASE("install: the proxy of the environment, and its password only in a private file") {
  const InstallBench bench;
  const std::vector<std::string> open = {"https_proxy=http://proxy.example:3128", "no_proxy=ca.example,10.%0"};
  CHECK(bench.install({}, "service", open).exit_code == 0);
  const std::string unit = contents(fs::path(bench.units) / "culmen.service");
  CHECK(contains(unit, "\nEnvironment=\"https_proxy=http://proxy.example:3128\"\n"));
  CHECK(contains(unit, "\nEnvironment=\"no_proxy=ca.example,10.%%0\"\n"));
  CHECK_FALSE(fs::exists(bench.state));

  const std::vector<std::string> secret = {"https_proxy=http://me:pass\"word@proxy.example:3128"};
  const Outcome outcome = bench.install({}, "service", secret);
  CHECK(outcome.exit_code == 0);
  CHECK_FALSE(contains(outcome.out + outcome.err, "word@"));
  const fs::path file = fs::path(bench.state) / "local/proxy.env";
  CHECK(contents(file) == "https_proxy=\"http://me:pass\\\"word@proxy.example:3128\"\n");
  CHECK(mode_of(file) == 0600);
  CHECK(mode_of(bench.state) == 0700);
  const std::string with_file = contents(fs::path(bench.units) / "culmen.service");
  CHECK(contains(with_file, "\nEnvironmentFile=" + file.string() + "\n"));
  CHECK_FALSE(contains(with_file, "word@"));
  const Outcome shown = bench.install({"--print-only", "--json"}, "timer", secret);
  CHECK_FALSE(contains(shown.out, "word@"));
}

TEST_CASE("install: a user that is not there, and one that the state folder does not belong to") {
  const InstallBench bench;
  const Outcome unknown = bench.install({"--user", "no-such-user"});
  CHECK(unknown.exit_code == 1);
  CHECK(contains(unknown.err, "there is no user no-such-user on this machine"));
  CHECK(contains(unknown.err, "useradd"));
  CHECK(fs::is_empty(bench.units));
  const Outcome printed = bench.install({"--user", "no-such-user", "--print-only"});
  CHECK(printed.exit_code == 0);
  CHECK(contains(printed.err, "there is no user no-such-user"));
  CHECK(bench.install({"--user", "4242"}).exit_code == 0);

  fs::create_directory(bench.state);
  const Outcome other = bench.install({"--user", "nobody"});
  CHECK(other.exit_code == 0);
  CHECK(contains(other.err, "does not belong to nobody"));
  CHECK(contains(other.err, "chown -R nobody: " + bench.state));
  CHECK_FALSE(contains(bench.install({"--user", ""}).err, "does not belong"));
}

TEST_CASE("install timer: systemd is asked about the calendar event") {
  const InstallBench bench;
  CHECK(bench.install({"--on-calendar", "Mon..Fri 25:99"}).exit_code == (has_systemd_analyze() ? 2 : 0));
  if (has_systemd_analyze()) CHECK(fs::is_empty(bench.units));
}
