// Outputs and hooks of a host, without the program.
#include "culmen/deployment.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/process_lock.hpp"
#include "deployment/hook_records.hpp"
#include "support/errors.hpp"
#include "support/zone_hook.hpp"
#include "unit/deployment/hooked.hpp"

using namespace culmen;
using test::certificate_of;
using test::file_text;
using test::Host;
using test::mode_of;
using test::variable;
using Failures = std::map<std::string, std::string>;
using Kind = DeploymentEvent::Kind;
namespace fs = std::filesystem;

namespace {

DeploymentSettings with_hooks(std::vector<std::string> hooks) {
  DeploymentSettings settings;
  settings.deploy_hooks = std::move(hooks);
  return settings;
}

std::string serial_in(const Host& host, const std::string& id) {
  const auto record = deployment::read_hook_record(deployment::hook_record_file(host.local(), id));
  return record ? record->serial : std::string();
}

std::vector<PendingHook> pending(const Host& host, const DeploymentSettings& settings, const std::string& id) {
  return pending_hooks(host.local(), {}, settings, id, serial_in(host, id));
}

}  // namespace

TEST_CASE("deployment: outputs are written, and again only if they are lost or differ") {
  Host host;
  Deployment deployment(host.options());
  const InstalledCertificate certificate = certificate_of("a.example");
  DeploymentSettings settings;
  settings.out = host.folder / "chain.pem";
  settings.cert_key = host.folder / "key.pem";
  settings.combined = host.folder / "both.pem";
  const auto put = [&] { deployment.put(certificate, settings, host.live(certificate), ""); };
  put();
  CHECK(file_text(settings.out) == certificate.chain_pem);
  CHECK(file_text(settings.cert_key) == certificate.key_pem);
  CHECK(file_text(settings.combined) == certificate.key_pem + certificate.chain_pem);
  CHECK(mode_of(settings.out) == 0644);
  CHECK(mode_of(settings.cert_key) == 0600);
  CHECK(mode_of(settings.combined) == 0600);
  CHECK(host.texts(Kind::output_written).size() == 3);
  put();
  CHECK(host.events.size() == 3);
  CHECK(outdated_outputs(certificate, settings).empty());
  CHECK(outdated_outputs(certificate_of("b.example"), settings) ==
        std::vector<std::string>{settings.out, settings.cert_key, settings.combined});
  fs::remove(settings.combined);
  CHECK(outdated_outputs(certificate, settings) == std::vector<std::string>{settings.combined});
  put();
  CHECK(host.texts(Kind::output_written).back() == "Wrote " + settings.combined);
  CHECK(host.events.back().id == "a.example");
  settings.cert_key_is_input = true;
  fs::remove(settings.cert_key);
  put();
  CHECK_FALSE(fs::exists(settings.cert_key));
}

TEST_CASE("deployment: mode and group, for the files in live too, and a group that is not there is named") {
  Host host;
  Deployment deployment(host.options());
  const InstalledCertificate certificate = certificate_of("a.example");
  const fs::path live = host.live(certificate);
  DeploymentSettings settings;
  settings.combined = host.folder / "both.pem";
  settings.key_mode = "0640";
  settings.key_group = std::to_string(getegid());
  deployment.put(certificate, settings, live, "");
  CHECK(mode_of(settings.combined) == 0640);
  CHECK(mode_of(live / "key.pem") == 0640);
  DeploymentSettings after = settings;
  after.key_mode.clear();
  withdraw_access(settings, after, live);
  CHECK(mode_of(settings.combined) == 0600);
  CHECK(mode_of(live / "key.pem") == 0600);
  settings.key_group = "no-such-group-here";
  const std::string why = thrown_by([&] { deployment.put(certificate, settings, live, ""); });
  CHECK_MESSAGE(contains(why, "groupadd no-such-group-here"), why);
}

TEST_CASE("deployment: a hook runs once for all changes, and for none that it ran for") {
  Host host;
  Deployment deployment(host.options());
  CHECK_FALSE(deployment.hooks_at());
  const InstalledCertificate a = certificate_of("a.example", "DNS:a.example,DNS:www.a.example"),
                             b = certificate_of("b.example");
  deployment.put(a, with_hooks({"/bin/x"}), host.live(a), "it was due");
  deployment.put(b, with_hooks({"/bin/x", "/bin/y"}), host.live(b), "");
  CHECK(deployment.hooks_at());
  CHECK(deployment.run_hooks().empty());
  CHECK_FALSE(deployment.hooks_at());
  REQUIRE(host.runs.size() == 2);
  const ProgramRun& both = host.runs.at(0);
  CHECK(both.words == std::vector<std::string>{"/bin/x"});
  CHECK(variable(both, "CULMEN_ID") == "a.example b.example");
  CHECK(variable(both, "CULMEN_NAMES") == "a.example www.a.example b.example");
  CHECK(variable(both, "CULMEN_CAUSE") == "it was due");
  CHECK(variable(both, "CULMEN_FULLCHAIN") == (host.live(a) / "fullchain.pem").string());
  CHECK(variable(both, "CULMEN_KEY") == (host.live(a) / "key.pem").string());
  CHECK(both.input == "a.example a.example,www.a.example " + (host.live(a) / "fullchain.pem").string() + " " +
                          (host.live(a) / "key.pem").string() + "\nb.example b.example " +
                          (host.live(b) / "fullchain.pem").string() + " " + (host.live(b) / "key.pem").string() + "\n");
  CHECK(variable(host.runs.at(1), "CULMEN_ID") == "b.example");
  CHECK(variable(host.runs.at(1), "CULMEN_CAUSE") == "installed");
  CHECK(host.texts(Kind::hook_ran) ==
        std::vector<std::string>{"Ran /bin/x for a.example, b.example", "Ran /bin/y for b.example"});

  deployment.put(a, with_hooks({"/bin/x"}), host.live(a), "");
  CHECK_FALSE(deployment.hooks_at());
  deployment.put(a, with_hooks({"/bin/x"}), host.live(a), "asked for", Deployment::Hooks::again);
  CHECK(deployment.run_hooks().empty());
  CHECK(host.runs.size() == 3);
}

TEST_CASE("deployment: what is in the folder of the system's hooks runs too") {
  Host host;
  fs::create_directories(host.folder / "deploy.d");
  const std::string hook = test::write_script(host.folder / "deploy.d" / "hook", "exit 0\n");
  host.folder.write("deploy.d/README", "no program");
  CHECK(deploy_programs(with_hooks({"/bin/x", hook}), host.folder / "deploy.d") ==
        std::vector<std::string>{"/bin/x", hook});
  DeploymentOptions options = host.options();
  options.hooks_folder = host.folder / "deploy.d";
  Deployment deployment(options);
  const InstalledCertificate certificate = certificate_of("a.example");
  deployment.put(certificate, {}, host.live(certificate), "");
  CHECK(deployment.run_hooks().empty());
  REQUIRE(host.runs.size() == 1);
  CHECK(host.runs.front().words.front() == hook);
}

TEST_CASE("deployment: a hook that fails is recorded, and runs again after the pause") {
  Host host;
  host.failing = {"/bin/bad"};
  const InstalledCertificate certificate = certificate_of("a.example");
  const DeploymentSettings settings = with_hooks({"/bin/bad", "/bin/good"});
  CHECK(pending_hooks(host.local(), {}, settings, "a.example", "01").size() == 2);
  const auto run = [&](std::chrono::seconds pause) {
    DeploymentOptions options = host.options();
    options.retry_pause = pause;
    Deployment deployment(options);
    deployment.put(certificate, settings, host.live(certificate), "");
    return deployment.run_hooks();
  };
  const Failures once = {{"/bin/bad", "it failed"}};
  CHECK(run(std::chrono::hours(1)) == once);
  REQUIRE(pending(host, settings, "a.example").size() == 1);
  const PendingHook first = pending(host, settings, "a.example").front();
  CHECK(first.program == "/bin/bad");
  CHECK(first.error == "it failed");
  CHECK(first.tries == 1);
  CHECK(run(std::chrono::hours(1)).empty());  // not yet
  CHECK(host.runs.size() == 2);
  CHECK(run(std::chrono::seconds(0)) == once);
  CHECK(pending(host, settings, "a.example").front().tries == 2);
  CHECK(pending(host, settings, "a.example").front().since == first.since);
  host.failing.clear();
  CHECK(run(std::chrono::seconds(0)).empty());
  CHECK(pending(host, settings, "a.example").empty());
  CHECK(host.runs.size() == 6);
}

TEST_CASE("deployment: what another process ran meanwhile is not run, and what failed there failed") {
  Host host, other;
  host.failing = {"/bin/bad"};
  DeploymentOptions options = other.options();
  options.local = host.local();
  Deployment first(host.options()), second(options);
  const InstalledCertificate certificate = certificate_of("a.example");
  const DeploymentSettings settings = with_hooks({"/bin/bad", "/bin/good"});
  first.put(certificate, settings, host.live(certificate), "");
  second.put(certificate, settings, host.live(certificate), "");
  CHECK(first.run_hooks().size() == 1);
  CHECK(second.run_hooks() == Failures{{"/bin/bad", "it failed"}});
  CHECK(host.runs.size() == 2);
  CHECK(other.runs.empty());
}

TEST_CASE("deployment: a hook that removes the folder with the records fails, and is recorded") {
  Host host;
  Deployment deployment(host.with_programs());
  const InstalledCertificate certificate = certificate_of("a.example");
  const auto failure_of = [&](const std::string& script) {
    const std::string hook = test::write_script(host.folder / "hook", script);
    deployment.put(certificate, with_hooks({hook}), host.live(certificate), "", Deployment::Hooks::again);
    const Failures failed = deployment.run_hooks();
    REQUIRE(failed.size() == 1);
    CHECK(failed.begin()->first == hook);
    return failed.begin()->second;
  };
  const std::string local = host.local().string();
  const std::string removed = failure_of("rm -rf '" + local + "'\n");
  CHECK_MESSAGE(contains(removed, "the folder " + local + " was removed or emptied while it ran"), removed);
  CHECK(contains(removed, "restore the folder from a backup"));
  const DeploymentSettings settings = with_hooks({host.folder / "hook"});
  REQUIRE(pending(host, settings, "a.example").size() == 1);
  CHECK(pending(host, settings, "a.example").front().error == removed);
  CHECK(contains(failure_of("rm -rf '" + local + "'/*\n"), "was removed or emptied"));
  // That is not the first failure, whatever became of its record.
  CHECK(pending(host, settings, "a.example").front().tries == 2);
  const std::string both = failure_of("rm -rf '" + local + "'\nexit 7\n");
  CHECK(contains(both, "it failed with exit code 7"));
  CHECK(contains(both, "was removed or emptied"));
  CHECK(pending(host, settings, "a.example").front().tries == 3);
  // Without the state folder there is nothing to record in.
  const fs::path state = host.local().parent_path();
  CHECK(contains(failure_of("rm -rf '" + state.string() + "'\n"), "was removed or emptied"));
  CHECK_FALSE(fs::exists(state));
}

TEST_CASE("deployment: what cannot be recorded or locked fails, and keeps nothing else from running") {
  Host host;
  DeploymentOptions options = host.options();
  bool breaks = true;
  options.run = [&](const std::string&, const ProgramRun& run) {
    host.runs.push_back(run);
    if (breaks) std::ofstream(host.local() / "deployed") << "a file";
  };
  Deployment deployment(options);
  const InstalledCertificate certificate = certificate_of("a.example");
  const auto put = [&] { deployment.put(certificate, with_hooks({"/bin/x"}), host.live(certificate), ""); };
  put();
  const Failures unrecorded = deployment.run_hooks();
  REQUIRE(unrecorded.size() == 1);
  CHECK_MESSAGE(contains(unrecorded.at("/bin/x"), "it ran, and that could not be recorded: "), unrecorded.at("/bin/x"));
  CHECK(contains(unrecorded.at("/bin/x"), (host.local() / "deployed").string()));
  CHECK(host.runs.size() == 1);
  breaks = false;

  fs::remove(host.local() / "deployed");
  put();
  fs::remove_all(host.local());
  std::ofstream(host.local()) << "a file";
  const Failures unlocked = deployment.run_hooks();
  REQUIRE(unlocked.size() == 1);
  CHECK_MESSAGE(contains(unlocked.at("/bin/x"), "it did not run: "), unlocked.at("/bin/x"));
  CHECK(contains(unlocked.at("/bin/x"), host.local().string()));
  CHECK(host.runs.size() == 1);

  fs::remove(host.local());
  put();
  CHECK(deployment.run_hooks().empty());
  CHECK(host.runs.size() == 2);
}

TEST_CASE("deployment: what a hook starts does not wait for that hook, and its changes are found again") {
  Host host;
  Deployment deployment(host.options());
  const InstalledCertificate certificate = certificate_of("a.example");
  const auto put = [&] { deployment.put(certificate, with_hooks({"/bin/x"}), host.live(certificate), ""); };
  put();
  fs::create_directories(host.local());
  {
    const auto lock = ProcessLock::take(host.local() / "hooks.lock");
    REQUIRE(lock);
    setenv("CULMEN_HOOK_OF", std::to_string(getpid()).c_str(), 1);
    const std::string why = thrown_by([&] { (void)deployment.run_hooks(); });
    unsetenv("CULMEN_HOOK_OF");
    CHECK_MESSAGE(contains(why, "held: running hooks: this culmen was started by a hook"), why);
  }
  put();
  CHECK(deployment.run_hooks().empty());
  CHECK(host.runs.size() == 1);
}

TEST_CASE("deployment: a cancellation ends the wait for another process") {
  Host host;
  const CancelToken cancel;
  DeploymentOptions options = host.options();
  options.cancel = cancel;
  options.on_event = [&](const DeploymentEvent& event) {
    host.events.push_back(event);
    if (event.kind == Kind::waiting) cancel.cancel();
  };
  Deployment deployment(options);
  const InstalledCertificate certificate = certificate_of("a.example");
  deployment.put(certificate, with_hooks({"/bin/x"}), host.live(certificate), "");
  fs::create_directories(host.local());
  const auto lock = ProcessLock::take(host.local() / "hooks.lock");
  REQUIRE(lock);
  CHECK(deployment.run_hooks() == Failures{{"/bin/x", "it did not run: interrupted while another culmen ran hooks"}});
  CHECK(host.events.back().process == getpid());
  CHECK(host.runs.empty());
}

TEST_CASE("deployment: pre-hooks once, post-hooks once, whatever comes of them") {
  Host host;
  Deployment deployment(host.options());
  DeploymentSettings settings;
  settings.pre_hooks = {"/bin/stop"};
  settings.post_hooks = {"/bin/start", "/bin/bad"};
  settings.hook_timeout = 7;
  CHECK_FALSE(deployment.has_orders());
  deployment.before_order(settings);
  deployment.before_order(settings);
  CHECK(host.runs.size() == 1);
  CHECK(host.runs.front().time_limit == std::chrono::seconds(7));
  CHECK(deployment.has_orders());
  host.failing = {"/bin/bad", "/bin/stop"};
  CHECK(deployment.after_orders() == Failures{{"/bin/bad", "it failed"}});
  CHECK(host.runs.size() == 3);
  CHECK(host.runs.back().after_cancel > std::chrono::seconds(0));
  CHECK_FALSE(deployment.has_orders());
  CHECK(contains(thrown_by([&] { deployment.before_order(settings); }), "it failed"));
  CHECK(deployment.has_orders());  // what was stopped before it failed
}

TEST_CASE("deployment: what hooks say is told after they ended well") {
  Host host;
  Deployment deployment(host.with_programs());
  const InstalledCertificate certificate = certificate_of("a.example");
  const std::string hook = test::write_script(host.folder / "hook", "cat > /dev/null\necho one\necho two >&2\n");
  deployment.put(certificate, with_hooks({hook}), host.live(certificate), "");
  CHECK(deployment.run_hooks().empty());
  std::vector<Kind> kinds;
  for (const DeploymentEvent& event : host.events) kinds.push_back(event.kind);
  CHECK(kinds ==
        std::vector<Kind>{Kind::hook_started, Kind::hook_ended, Kind::hook_said, Kind::hook_said, Kind::hook_ran});
  CHECK(host.texts(Kind::hook_said) == std::vector<std::string>{"one", "two"});
}

TEST_CASE("deployment: certificates that come while hooks run are not lost") {
  Host host;
  DeploymentOptions options = host.options();
  Deployment* waiting = nullptr;
  const InstalledCertificate a = certificate_of("a.example"), again = certificate_of("a.example"),
                             b = certificate_of("b.example");
  const fs::path live_of_a = host.live(a), live_of_b = host.live(b);
  bool nested = false;
  options.run = [&](const std::string&, const ProgramRun& run) {
    host.runs.push_back(run);
    if (std::exchange(nested, true)) return;
    const DeploymentSettings settings = with_hooks({"/bin/x"});
    waiting->put(a, settings, live_of_a, "");  // the one that it runs for
    waiting->put(again, settings, live_of_a, "");
    waiting->put(b, settings, live_of_b, "");
  };
  Deployment deployment(options);
  waiting = &deployment;
  deployment.put(a, with_hooks({"/bin/x"}), live_of_a, "");
  CHECK(deployment.run_hooks().empty());
  CHECK(host.runs.size() == 1);
  CHECK(deployment.run_hooks().empty());
  REQUIRE(host.runs.size() == 2);
  CHECK(variable(host.runs.back(), "CULMEN_ID") == "a.example b.example");
  CHECK_FALSE(deployment.hooks_at());
}

TEST_CASE("deployment: threads put certificates while hooks run, and each is told of once") {
  Host host;
  std::mutex mutex;
  std::vector<std::string> told;
  DeploymentOptions options = host.options();
  options.on_event = {};
  options.run = [&](const std::string&, const ProgramRun& run) {
    const std::lock_guard lock(mutex);
    std::istringstream lines(run.input);
    for (std::string line; std::getline(lines, line);) told.push_back(line.substr(0, line.find(' ')));
  };
  Deployment deployment(options);
  constexpr int threads = 4, each = 10;
  std::vector<InstalledCertificate> certificates;
  for (int i = 0; i < threads * each; ++i) certificates.push_back(certificate_of("n" + std::to_string(i) + ".example"));
  {
    std::vector<std::jthread> workers;
    for (int thread = 0; thread < threads; ++thread) {
      workers.emplace_back([&, thread] {
        for (int i = thread * each; i < (thread + 1) * each; ++i) {
          const InstalledCertificate& certificate = certificates[static_cast<std::size_t>(i)];
          deployment.put(certificate, with_hooks({"/bin/x"}), host.folder / certificate.id, "");
        }
      });
    }
    for (int i = 0; i < 5; ++i) CHECK(deployment.run_hooks().empty());
  }
  CHECK(deployment.run_hooks().empty());
  CHECK(told.size() == threads * each);
  CHECK(std::set<std::string>(told.begin(), told.end()).size() == threads * each);
}
