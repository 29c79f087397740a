// culmen run: renewals without end, what systemd is told, changes by other processes, and --on-failure.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/notify_socket.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;
using culmen::test::TemporaryFolder;

namespace {

std::vector<std::string> run_words(const Client& client, std::vector<std::string> more = {}) {
  std::vector<std::string> words = {culmen_path(), "run", "--dir", client.state().string()};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Outcome renew(const Client& client) { return run({culmen_path(), "renew", "--dir", client.state().string()}); }

Outcome edit(const Client& client, const std::string& name, std::vector<std::string> more) {
  std::vector<std::string> words = {culmen_path(), "edit", name, "--dir", client.state().string()};
  words.insert(words.end(), more.begin(), more.end());
  return run(words);
}

int generation(const Client& client, const std::string& name) {
  std::error_code none;
  const std::string link = fs::read_symlink(client.certificate(name) / "live", none).string();
  return link.empty() ? 0 : std::stoi(link);
}

/// A hook that notes how it was called.
struct Hook {
  Hook(const TemporaryFolder& folder, const std::string& name, const std::string& commands)
      : program((folder / name).string()), log((folder / (name + ".log")).string()) {
    std::ofstream(program) << "#!/bin/sh\n{ " << commands << "; } >> '" << log << "'\n";
    fs::permissions(program, fs::perms::owner_all);
  }
  std::string said() const { return contents(log); }
  std::string program, log;
};

int lines_in(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

/// Takes connections and never answers.
class SilentServer {
 public:
  explicit SilentServer(const std::string& port) : file_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    setsockopt(file_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listens = bind(file_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && listen(file_, 16) == 0;
  }
  ~SilentServer() { close(file_); }
  bool listens = false;

 private:
  int file_;
};

/// CLOCK_MONOTONIC, as sd_notify(3) has it.
long long monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<long long>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

bool has_files(const fs::path& folder) {
  std::error_code none;
  return fs::exists(folder, none) && !fs::is_empty(folder, none);
}

}  // namespace

TEST_CASE("run: tells systemd that it is ready, reloads, and stops") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const TemporaryFolder folder;
  for (const std::string& name : {(folder / "notify").string(), "@culmen-test-" + std::to_string(getpid())}) {
    CAPTURE(name);
    NotifySocket socket(name);
    Process process(run_words(client), {socket.variable()});
    CHECK(eventually([&] { return socket.count("STATUS=1 certificate, next renewal ") == 1; }));
    const long long before_reload = monotonic_microseconds();
    process.signal(SIGHUP);
    CHECK(eventually([&] { return socket.count("READY=1") == 2; }));
    process.signal(SIGTERM);
    CHECK(process.wait() == 0);
    CHECK(process.err() == "");
    const std::vector<std::string> said = socket.received();
    REQUIRE(said.size() == 6);
    CHECK(said[0] == "STATUS=Reading the storage");
    CHECK(said[1] == "READY=1");
    CHECK(contains(said[2], "1 certificate"));
    const std::string reloading = "RELOADING=1\nMONOTONIC_USEC=";
    REQUIRE(said[3].starts_with(reloading));
    const long long at = std::stoll(said[3].substr(reloading.size()));
    CHECK(at >= before_reload);
    CHECK(at <= monotonic_microseconds());
    CHECK(said[4] == "READY=1");
    CHECK(said[5] == "STOPPING=1");
  }
}

TEST_CASE("run: a second one on the same state folder ends at once, and names the first") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const TemporaryFolder folder;
  NotifySocket socket((folder / "notify").string());
  Process first(run_words(client), {socket.variable()});
  REQUIRE(eventually([&] { return socket.count("READY=1") == 1; }));
  const Outcome second = run(run_words(client));
  CHECK(second.exit_code == 1);
  CHECK(contains(second.err, "another culmen run"));
  CHECK(contains(second.err, "process " + std::to_string(first.id())));
  CHECK(renew(client).exit_code == 0);  // goes beside it
  // However the first ends, the next one runs.
  first.signal(SIGKILL);
  first.wait();
  NotifySocket other((folder / "other").string());
  Process next(run_words(client), {other.variable()});
  CHECK(eventually([&] { return other.count("READY=1") == 1; }));
  next.signal(SIGTERM);
  CHECK(next.wait() == 0);
}

TEST_CASE("run: the watchdog hears of it only while it works") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const TemporaryFolder folder;
  NotifySocket socket((folder / "notify").string());
  Process process(run_words(client), {socket.variable(), "WATCHDOG_USEC=400000"});
  CHECK(eventually([&] { return socket.count("WATCHDOG=1") >= 3; }));
  process.signal(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const int before = socket.count("WATCHDOG=1");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(socket.count("WATCHDOG=1") == before);
  process.signal(SIGCONT);
  CHECK(eventually([&] { return socket.count("WATCHDOG=1") > before; }));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);

  // For another process.
  NotifySocket other((folder / "other").string());
  Process ignoring(run_words(client), {other.variable(), "WATCHDOG_USEC=400000", "WATCHDOG_PID=1"});
  CHECK(eventually([&] { return other.count("READY=1") == 1; }));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(other.count("WATCHDOG=1") == 0);
}

TEST_CASE("run: the watchdog hears of it while a hook takes long, and hooks cannot speak for the service") {
  const TestCaProcess ca({"--lifetime", "40"});  // a change is ordered after a twentieth of it
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const TemporaryFolder folder;
  const Hook hook(folder, "hook", "echo \"${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}\"; sleep 2; echo end");
  const std::vector<std::string> change = {"-d", "a.example", "-d", "b.example", "--deploy-hook", hook.program};
  REQUIRE(edit(client, "a.example", change).exit_code == 0);
  NotifySocket socket((folder / "notify").string());
  Process process(run_words(client), {socket.variable(), "WATCHDOG_USEC=400000"});
  REQUIRE(eventually([&] { return lines_in(hook.said()) == 1; }));
  const int before = socket.count("WATCHDOG=1");
  CHECK(eventually([&] { return lines_in(hook.said()) == 2; }));
  CHECK(socket.count("WATCHDOG=1") >= before + 3);
  CHECK(hook.said() == "none none\nend\n");
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("run: is not ready before it could read storage, and says what fails") {
  const TestCaProcess ca({"--lifetime", "240"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  const TemporaryFolder folder;
  const fs::path certificates = client.state() / "certificates", away = client.state() / "away";
  fs::rename(certificates, away);
  std::ofstream(certificates) << "not a folder";
  NotifySocket socket((folder / "notify").string());
  Process process(run_words(client), {socket.variable()});
  CHECK(eventually([&] { return contains(process.err(), "looking at the certificates"); }));
  process.signal(SIGHUP);
  CHECK(eventually([&] { return contains(process.out(), "SIGHUP"); }));
  CHECK(socket.received() == std::vector<std::string>{"STATUS=Reading the storage"});

  fs::remove(certificates);
  fs::rename(away, certificates);
  std::ofstream(certificates / "b.example/record.json") << "damaged";
  process.signal(SIGHUP);
  CHECK(eventually([&] { return socket.count("STATUS=2 certificates, 1 failing, next renewal ") == 1; }));
  CHECK(socket.received().at(1) == "READY=1");
  CHECK(socket.count("RELOADING=1") == 0);
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK(socket.received().back() == "STOPPING=1");
}

TEST_CASE("run: works where nobody listens to it") {
  const TestCaProcess ca;
  const Client client(ca);
  const TemporaryFolder folder;
  const fs::path out = folder / "out.pem";
  REQUIRE(client.issue({"a.example"}, {"--out", out.string()}).exit_code == 0);
  for (const std::string& address :
       {(folder / "none").string(), "/" + std::string(200, 'x'), std::string("vsock:2:1"), std::string("relative")}) {
    CAPTURE(address);
    fs::remove(out);
    Process process(run_words(client), {"NOTIFY_SOCKET=" + address, "WATCHDOG_USEC=1"});
    CHECK(eventually([&] { return fs::exists(out); }));
    process.signal(SIGTERM);
    CHECK(process.wait() == 0);
    CHECK(process.err() == "");
  }
}

TEST_CASE("run: short-lived certificates are renewed again and again, and hooks run once a batch") {
  const TestCaProcess ca({"--lifetime", "12"});
  const Client client(ca);
  const TemporaryFolder folder;
  const Hook hook(folder, "hook", "echo \"$CULMEN_ID|$(tr '\\n' ';')\"");
  for (const char* name : {"a.example", "b.example"}) {
    REQUIRE(client.issue({name}, {"--deploy-hook", hook.program}).exit_code == 0);
  }
  const int before = lines_in(hook.said());
  Process process(run_words(client));
  const auto renewed = [&] { return generation(client, "a.example") >= 9 && generation(client, "b.example") >= 9; };
  for (int i = 0; i < 3 && !renewed(); ++i) (void)eventually(renewed);
  CHECK(renewed());
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK(process.err() == "");
  const std::string said = hook.said();
  CHECK(lines_in(said) > before);
  // Sixteen renewals; those that come together are one run.
  CHECK(lines_in(said) - before < 16);
  CHECK(contains(said, "a.example b.example|"));
}

TEST_CASE("run: goes on where what hooks did cannot be remembered, and says so") {
  const TestCaProcess ca({"--lifetime", "12"});
  const Client client(ca);
  const TemporaryFolder folder;
  const std::string records = client.state() / "local/deployed", asked_to_break = folder / "break";
  const Hook hook(
      folder, "hook",
      "echo ran; if rm '" + asked_to_break + "'; then rm -r '" + records + "'; touch '" + records + "'; fi");
  REQUIRE(client.issue({"a.example"}, {"--deploy-hook", hook.program}).exit_code == 0);
  Process process(run_words(client));
  REQUIRE(eventually([&] { return contains(process.err() + process.out(), "valid until"); }));
  folder.write("break", "");
  CHECK(eventually([&] { return contains(process.err(), records); }));
  const int broken_at = generation(client, "a.example");
  CHECK(eventually([&] { return generation(client, "a.example") > broken_at + 1; }));
  CHECK(process.running());
  fs::remove(records);
  const int before = lines_in(hook.said());
  CHECK(eventually([&] { return lines_in(hook.said()) > before && fs::is_directory(records); }));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("run: what other processes change is seen, and lost outputs are written again") {
  const TestCaProcess ca({"--lifetime", "240"});  // a change is ordered after a twentieth of it
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const TemporaryFolder folder;
  NotifySocket socket((folder / "notify").string());
  Process process(run_words(client), {socket.variable()});
  REQUIRE(eventually([&] { return socket.count("READY=1") == 1; }));
  int looks = 1;
  const auto look_again = [&] {
    process.signal(SIGHUP);
    ++looks;
    return eventually([&] { return socket.count("READY=1") == looks; });
  };

  const fs::path out = folder / "out.pem";
  REQUIRE(edit(client, "a.example", {"--out", out.string()}).exit_code == 0);
  CHECK(look_again());
  CHECK(fs::exists(out));
  fs::remove(out);
  CHECK(look_again());
  CHECK(contents(out) == contents(client.certificate("a.example") / "live/fullchain.pem"));

  // Other names are ordered at once.
  REQUIRE(edit(client, "a.example", {"-d", "a.example", "-d", "www.a.example"}).exit_code == 0);
  CHECK(look_again());
  CHECK(eventually([&] { return generation(client, "a.example") == 2; }));
  CHECK(eventually([&] { return contents(out) == contents(client.certificate("a.example") / "live/fullchain.pem"); }));

  const Hook hook(folder, "hook", "echo \"$CULMEN_ID $CULMEN_CAUSE\"");
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  REQUIRE(edit(client, "b.example", {"--deploy-hook", hook.program}).exit_code == 0);
  CHECK(look_again());
  CHECK(eventually([&] { return socket.count("STATUS=2 certificates") > 0; }));
  REQUIRE(client.issue({"b.example"}, {"--force"}).exit_code == 0);
  CHECK(eventually([&] { return lines_in(hook.said()) == 1; }));
  REQUIRE(run({culmen_path(), "rename", "b.example", "c.example", "--dir", client.state().string()}).exit_code == 0);
  REQUIRE(run({culmen_path(), "delete", "a.example", "--dir", client.state().string()}).exit_code == 0);
  CHECK(look_again());
  CHECK(socket.received().back() == "READY=1");
  CHECK(socket.count("STATUS=1 certificate") >= 2);
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK_FALSE(fs::exists(client.certificate("a.example")));
}

TEST_CASE("run: is ready while the CA is down, and renews when it is there again") {
  const TemporaryFolder folder;
  TestCaProcess ca({"--lifetime", "20"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  ca.process().signal(SIGSTOP);
  NotifySocket socket((folder / "notify").string());
  Process process(run_words(client), {socket.variable()});
  CHECK(eventually([&] { return socket.count("READY=1") == 1; }));
  CHECK(generation(client, "a.example") == 1);
  ca.process().signal(SIGCONT);
  CHECK(eventually([&] { return generation(client, "a.example") >= 2; }));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);

  const Outcome none = run({culmen_path(), "run", "--dir", (folder / "none").string()});
  CHECK(none.exit_code == 1);
  CHECK(contains(none.err, "there is no state folder"));
}

TEST_CASE("run: stops at once during an order, cleans up, and starts what a pre-hook stopped") {
  const TestCaProcess ca({"--lifetime", "240"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const TemporaryFolder folder;
  const fs::path webroot = folder / "web";
  fs::create_directories(webroot);
  const Hook pre(folder, "pre", "echo stop"), post(folder, "post", "echo start");
  REQUIRE(edit(client, "a.example",
               {"-d", "a.example", "-d", "b.example", "--webroot", webroot.string(), "--pre-hook", pre.program,
                "--post-hook", post.program})
              .exit_code == 0);
  const SilentServer silent(ca.http_port());
  REQUIRE(silent.listens);
  Process process(run_words(client));
  REQUIRE(eventually([&] { return has_files(webroot / ".well-known/acme-challenge"); }));
  CHECK(pre.said() == "stop\n");
  CHECK(post.said() == "");
  const auto before = std::chrono::steady_clock::now();
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(2));
  CHECK_FALSE(has_files(webroot / ".well-known/acme-challenge"));
  CHECK(post.said() == "start\n");
}

TEST_CASE("on-failure: once when a certificate becomes late, and once a day after that") {
  const TestCaProcess ca({"--lifetime", "16"});
  const Client client(ca);
  const TemporaryFolder folder;
  // What keeps renewals from happening.
  const Hook pre(folder, "pre", "test ! -e '" + (folder / "broken").string() + "'");
  const Hook hook(folder, "hook",
                  "echo \"$CULMEN_ID|$CULMEN_NAMES|$CULMEN_NOT_AFTER|$CULMEN_SINCE|$CULMEN_ERROR|$(wc -l)\"");
  const Hook bad(folder, "bad", "echo called; test -e '" + (folder / "good").string() + "'");
  const auto issue = [&](const char* name, const Hook& on_failure) {
    return client.issue({name}, {"--pre-hook", pre.program, "--on-failure", on_failure.program}).exit_code;
  };
  REQUIRE(issue("a.example", hook) == 0);
  REQUIRE(issue("b.example", hook) == 0);
  REQUIRE(issue("c.example", bad) == 0);
  std::ofstream(folder / "broken") << "";
  CHECK(renew(client).exit_code == 0);
  CHECK(hook.said() == "");  // not even due

  Outcome last;
  const auto both_told = [&] {
    last = renew(client);
    return contains(hook.said(), "a.example") && contains(hook.said(), "b.example") && contains(bad.said(), "\n");
  };
  REQUIRE(eventually(both_told));
  const std::string said = hook.said();
  INFO(said);
  CHECK(contains(said, "|20"));
  CHECK(contains(said, "running the pre-hook " + pre.program));  // what failed
  const int bad_calls = lines_in(bad.said());
  CHECK(lines_in(said) <= 2);  // both at once, or one after the other

  const Outcome again = renew(client);
  CHECK(lines_in(hook.said()) <= 2);
  CHECK(lines_in(bad.said()) == bad_calls + 1);
  CHECK(contains(again.err, "the on-failure hook " + bad.program + " failed"));
  std::ofstream(folder / "good") << "";
  (void)renew(client);
  (void)renew(client);
  CHECK(lines_in(bad.said()) == bad_calls + 2);

  // A day later, also by `culmen run`.
  const int told = lines_in(hook.said());
  const fs::path record = client.state() / "local/late/a.example.json";
  json::object object = read_object(record);
  object["told"] = object.at("told").as_int64() - 24 * 3600;
  std::ofstream(record) << json::serialize(object);
  Process process(run_words(client));
  CHECK(eventually([&] { return lines_in(hook.said()) == told + 1; }));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK(lines_in(hook.said()) == told + 1);
}
