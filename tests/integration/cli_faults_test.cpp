// Faults that the release before had, through the built program: what is damaged, in the way, interrupted or shared.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/killed_program.hpp"
#include "support/program_at_ca.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;

namespace {

std::string serial_of(const fs::path& certificate) {
  return run({"openssl", "x509", "-in", certificate, "-noout", "-serial"}).out;
}

std::string public_key_of(const fs::path& certificate) {
  return run({"openssl", "x509", "-in", certificate, "-noout", "-pubkey"}).out;
}

/// A link that leads to itself: whatever is to be read there is unreadable, also for root.
void make_unreadable(const fs::path& path) {
  fs::remove_all(path);
  fs::create_symlink(path.filename(), path);
}

void write_program(const fs::path& path, const std::string& lines) {
  std::ofstream(path) << "#!/bin/sh\n" << lines;
  fs::permissions(path, fs::perms::owner_all);
}

/// What a killed run of the release before leaves in pending/ after it has switched to the new certificate.
void leave_finished_order(const ProgramAtCa& at, const std::string& name, const std::string& url) {
  const fs::path pending = at.certificate(name) / "pending";
  const json::object meta = read_object(at.certificate(name) / "live/meta.json");
  fs::create_directory(pending);
  fs::copy_file(at.certificate(name) / "live/key.pem", pending / "key.pem");
  std::ofstream(pending / "order.json") << json::serialize(json::object{{"server", meta.at("server")},
                                                                        {"account", meta.at("account")},
                                                                        {"names", json::array{json::value(name)}},
                                                                        {"key_type", "ec:P-256"},
                                                                        {"profile", ""},
                                                                        {"must_staple", false},
                                                                        {"url", url}});
}

}  // namespace

TEST_CASE("faults: a state folder that is missing, is a file or cannot be read is an error of its own (A3, D4, E1)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const auto refuses = [](const fs::path& folder) {
    CAPTURE(folder);
    for (const char* command : {"renew", "list", "status"}) {
      CAPTURE(command);
      const Outcome outcome = run({culmen_path(), command, "--dir", folder});
      CHECK(outcome.exit_code == 1);
      CHECK(contains(outcome.err, folder));
    }
  };
  const culmen::test::TemporaryFolder elsewhere;
  refuses(elsewhere / "not-mounted");
  refuses(elsewhere.write("file", "x"));
  make_unreadable(at.state() / "certificates");
  refuses(at.state());
}

TEST_CASE("faults: a signal ends a whole renewal run with 130, and orders nothing more (A4, E11)") {
  std::atomic<int> validations = 0;
  std::atomic<bool> slow = false;
  culmen::TestCaOptions options;
  options.skip_validation = false;
  options.validate = [&](const culmen::TestCaValidation&) -> std::optional<std::string> {
    if (slow && ++validations > 1) {
      for (int i = 0; i < 200 && slow; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return std::nullopt;
  };
  const ProgramAtCa at(std::move(options));
  const std::vector<std::string> names = {"a.example", "b.example", "c.example"};
  for (const std::string& name : names) REQUIRE(at.issue({name}).exit_code == 0);
  int how = 0;
  SUBCASE("SIGINT") { how = SIGINT; }
  SUBCASE("SIGTERM") { how = SIGTERM; }
  SUBCASE("SIGHUP") { how = SIGHUP; }
  slow = true;
  Process process({culmen_path(), "renew", "--force", "--json", "--dir", at.state()});
  REQUIRE(eventually([&] { return validations > 1; }));
  process.signal(how);
  const int exit_code = process.wait();
  slow = false;
  CHECK(exit_code == 130);
  CHECK(contains(process.out(), "\"exit_code\":130"));
  CHECK(fs::read_symlink(at.certificate("b.example") / "live") == "1");
  CHECK(fs::read_symlink(at.certificate("c.example") / "live") == "1");
}

TEST_CASE("faults: renewals of many certificates need few descriptors (A5, D3)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"n0.example"}).exit_code == 0);
  std::vector<std::unique_ptr<Process>> issuing;
  for (int i = 1; i < 30; ++i) {
    issuing.push_back(std::make_unique<Process>(at.issue_words({"n" + std::to_string(i) + ".example"})));
    if (issuing.size() == 4 || i == 29) {
      for (const auto& one : issuing) REQUIRE_MESSAGE(one->wait() == 0, one->err());
      issuing.clear();
    }
  }
  const Outcome renewed =
      run({"/bin/sh", "-c", "ulimit -n 64; exec \"$0\" renew --force --json --dir \"$1\"", culmen_path(), at.state()});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(renewed.json().at("renewed") == 30);
}

TEST_CASE("faults: a certificate whose folder cannot be worked with does not keep the others (A6, D6, E7)") {
  const ProgramAtCa at;
  for (const char* name : {"a.example", "b.example"}) REQUIRE(at.issue({name}).exit_code == 0);
  const fs::path broken = at.certificate("a.example");
  std::string part;
  SUBCASE("its pending order") { part = "pending"; }
  SUBCASE("its live files") { part = "live"; }
  SUBCASE("its record") { part = "record.json"; }
  SUBCASE("its folder") { part = "."; }
  make_unreadable(part == "." ? broken : broken / part);
  const Outcome renewed = at.renew({"--force"});
  CHECK_FALSE(fs::read_symlink(at.certificate("b.example") / "live") == "1");
  // The fault is named, or mended.
  if (renewed.exit_code != 0) CHECK_MESSAGE(contains(renewed.err, "a.example"), renewed.err);
  const Outcome again = at.renew({"--force"});
  CHECK(again.exit_code == renewed.exit_code);
}

TEST_CASE("faults: first starters at once make one account (A11, D7)") {
  const ProgramAtCa at;
  for (int round = 0; round < 6; ++round) {
    const fs::path state = at.folder / ("state" + std::to_string(round));
    std::vector<std::unique_ptr<Process>> starters;
    for (int i = 0; i < 4; ++i) {
      starters.push_back(std::make_unique<Process>(at.words({"account", "register", "--agree-tos", "--json"}, state)));
    }
    for (const auto& one : starters) CHECK_MESSAGE(one->wait() == 0, one->err());
    CHECK(at.ca.sizes().accounts == static_cast<std::size_t>(round + 1));
  }
}

TEST_CASE("faults: a key change that was cut short, when the account has another URL (B5, D11)") {
  const ProgramAtCa at;
  REQUIRE(at.culmen({"account", "register", "--agree-tos"}).exit_code == 0);
  const fs::path account = fs::directory_iterator(at.state() / "accounts")->path();
  const std::string old_key = contents(account / "account.key");
  REQUIRE(at.culmen({"account", "rollover"}).exit_code == 0);
  // As if the program had died between the answer and the swap, and as if the CA now told another URL.
  const std::string new_key = contents(account / "account.key");
  fs::rename(account / "account.key", account / "account.key.new");
  std::ofstream(account / "account.key") << old_key;
  json::object remembered = read_object(account / "account.json");
  remembered["url"] = text(remembered.at("url")) + "0";
  std::ofstream(account / "account.json") << json::serialize(remembered);
  at.culmen({"account", "show"});  // may fail, as the URL is wrong
  CHECK(at.culmen({"account", "recover"}).exit_code == 0);
  CHECK(at.culmen({"account", "show"}).exit_code == 0);
  CHECK(contents(account / "account.key") == new_key);
}

TEST_CASE("faults: the finished order of a killed run is never put in place again (D2)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const fs::path live = at.certificate("a.example") / "live";
  const std::string serial = serial_of(live / "cert.pem"), key = public_key_of(live / "cert.pem");
  const std::string url = text(read_object(live / "meta.json").at("order"));
  SUBCASE("revoked for its key") {
    leave_finished_order(at, "a.example", url);
    REQUIRE(run({culmen_path(), "revoke", "a.example", "--reason", "keyCompromise", "--dir", at.state()}).exit_code ==
            0);
  }
  SUBCASE("revoked, and the order is gone: its key is left") {
    leave_finished_order(at, "a.example", at.ca.directory_url() + "/gone");
    REQUIRE(run({culmen_path(), "revoke", "a.example", "--reason", "keyCompromise", "--dir", at.state()}).exit_code ==
            0);
  }
  SUBCASE("renewed") { leave_finished_order(at, "a.example", url); }
  const Outcome again = at.issue({"a.example"}, {"--force"});
  CHECK_MESSAGE(again.exit_code == 0, again.err);
  CHECK(serial_of(live / "cert.pem") != serial);
  CHECK(public_key_of(live / "cert.pem") != key);
  CHECK_FALSE(fs::exists(at.certificate("a.example") / "pending"));
}

TEST_CASE("faults: a finished order does not stand in the way of another key (D10)") {
  culmen::TestCaOptions options;
  options.faults.processing_polls = 3;
  options.faults.retry_after = "1";
  ProgramAtCa at(std::move(options));
  {
    Process process(at.issue_words({"a.example"}));
    REQUIRE(eventually([&] { return at.requests("finalize") > 0; }));
    process.signal(SIGKILL);
    process.wait();
  }
  const std::string own = at.folder / "own.pem";
  REQUIRE(
      run({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", own}).exit_code ==
      0);
  const Outcome issued = at.issue({"a.example"}, {"--cert-key", own});
  CHECK_MESSAGE(issued.exit_code == 0, issued.err);
  CHECK(public_key_of(at.certificate("a.example") / "live/cert.pem") ==
        run({"openssl", "pkey", "-in", own, "-pubout"}).out);
}

TEST_CASE("faults: a copy that is lost is written by renew, although nothing is due (D5)") {
  const ProgramAtCa at;
  const fs::path copy = at.folder / "chain.pem";
  REQUIRE(at.issue({"a.example"}, {"--out", copy}).exit_code == 0);
  const std::string before = contents(copy);
  SUBCASE("gone") { fs::remove(copy); }
  SUBCASE("of an older certificate") { std::ofstream(copy) << "something else"; }
  CHECK(at.renew().exit_code == 0);
  CHECK(contents(copy) == before);
  CHECK(at.ca.sizes().orders == 1);
}

TEST_CASE("faults: a signal is heard while a hook runs, and while another process has the account (D12, E11)") {
  int how = 0;
  SUBCASE("SIGINT") { how = SIGINT; }
  SUBCASE("SIGHUP") { how = SIGHUP; }
  ProgramAtCa at;
  const std::string log = at.folder / "log";
  write_program(at.folder / "hook",
                "echo $1 >>" + log + "\n[ $1 = present ] && [ $CULMEN_DOMAIN = slow.example ] && sleep 50\nexit 0\n");
  const std::vector<std::string> by_hook = {"--challenge", "dns-01", "--dns-hook", at.folder / "hook"};
  {
    Process process(at.issue_words({"slow.example"}, by_hook));
    REQUIRE(eventually([&] { return fs::exists(log); }));
    process.signal(how);
    REQUIRE(eventually([&] { return !process.running(); }));
    CHECK(process.wait() == 130);
    CHECK(contains(contents(log), "cleanup"));
  }
  // A key change that the CA does not answer keeps the account.
  culmen::TestCaFault silent("key-change", culmen::TestCaFault::Kind::slow);
  silent.delay = std::chrono::seconds(60);
  at.ca.plan(silent);
  Process holder(at.words({"account", "rollover"}));
  REQUIRE(eventually([&] { return at.requests("key-change") > 0; }));
  Process waiter(at.issue_words({"b.example"}));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(waiter.running());
  waiter.signal(how);
  REQUIRE(eventually([&] { return !waiter.running(); }));
  CHECK(waiter.wait() == 130);
  CHECK_FALSE(fs::exists(at.certificate("b.example") / "live"));
}

TEST_CASE("faults: live that is a folder, as copies without links have it, is renewed and mended (D15, E1)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const fs::path folder = at.certificate("a.example");
  fs::remove(folder / "live");
  fs::copy(folder / "1", folder / "live", fs::copy_options::recursive);
  CHECK(at.renew({"--force"}).exit_code == 0);
  CHECK(fs::is_symlink(folder / "live"));
  CHECK(at.renew({"--force"}).exit_code == 0);
  CHECK(at.ca.sizes().orders == 3);
  int generations = 0;
  for (const auto& entry : fs::directory_iterator(folder)) generations += isdigit(entry.path().filename().c_str()[0]);
  CHECK(generations <= 2);
}

TEST_CASE("faults: what killed writers have left is swept, keys too (D15)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const fs::path account = fs::directory_iterator(at.state() / "accounts")->path();
  const std::vector<fs::path> litter = {at.certificate("a.example") / ".culmen-4194304-0.tmp",
                                        account / ".culmen-4194304-1.tmp"};
  for (const fs::path& file : litter) {
    std::ofstream(file) << contents(account / "account.key");
    const timespec long_ago[2] = {{1700000000, 0}, {1700000000, 0}};
    REQUIRE(utimensat(AT_FDCWD, file.c_str(), long_ago, 0) == 0);
  }
  CHECK(at.issue({"a.example"}, {"--force"}).exit_code == 0);
  CHECK(at.culmen({"account", "rollover"}).exit_code == 0);
  for (const fs::path& file : litter) CHECK_MESSAGE(!fs::exists(file), file);
}

TEST_CASE("faults: a pipe or a device in place of a file is an error, and nobody waits for it (D20)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const std::string pipe = at.folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const auto refuses = [](const Outcome& outcome, const std::string& file) {
    CHECK(outcome.exit_code != 0);
    CHECK_MESSAGE(contains(outcome.err, file), outcome.err);
  };
  for (const std::string& file : {pipe, std::string("/dev/zero")}) {
    refuses(at.culmen({"issue", "--agree-tos", "--csr", file, "--out", at.folder / "out.pem"}), file);
    refuses(at.issue({"b.example"}, {"--cert-key", file}), file);
    refuses(at.culmen({"account", "show", "--account-key", file}), file);
  }
  const fs::path account = fs::directory_iterator(at.state() / "accounts")->path();
  for (const fs::path& file : {account / "account.key", account / "account.json"}) {
    const std::string whole = contents(file);
    fs::remove(file);
    REQUIRE(mkfifo(file.c_str(), 0600) == 0);
    refuses(at.culmen({"account", "show"}), file.filename());
    fs::remove(file);
    std::ofstream(file) << whole;
  }
  CHECK(at.culmen({"account", "show"}).exit_code == 0);
}

TEST_CASE("faults: an answer that cannot be written is a failure (D20, E12)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const auto to = [](const std::string& redirection, std::vector<std::string> words) {
    words.insert(words.begin(), {"/bin/sh", "-c", "exec \"$@\" " + redirection, "sh"});
    return run(words).exit_code;
  };
  for (const char* where : {">/dev/full", ">&-"}) {
    CAPTURE(where);
    CHECK(to(where, at.issue_words({"a.example"}, {"--json"})) == 1);
    CHECK(to(where, {culmen_path(), "renew", "--dry-run", "--dir", at.state()}) == 1);
    CHECK(to(where, {culmen_path(), "ca", "list"}) == 1);
  }
}

TEST_CASE("faults: keys that others can read and folders that others can write are warned of (D20)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const fs::path account = fs::directory_iterator(at.state() / "accounts")->path();
  const std::string key = at.folder / "account.pem";
  fs::copy_file(account / "account.key", key);
  CHECK(at.culmen({"account", "show", "--account-key", key}).err.empty());
  fs::permissions(key, static_cast<fs::perms>(0644));
  const Outcome shown = at.culmen({"account", "show", "--account-key", key});
  CHECK(shown.exit_code == 0);
  CHECK_MESSAGE(contains(shown.err, key), shown.err);
  CHECK_MESSAGE(contains(shown.err, "read"), shown.err);

  const std::string own = at.folder / "own.pem";
  REQUIRE(
      run({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", own}).exit_code ==
      0);
  fs::permissions(own, static_cast<fs::perms>(0644));
  CHECK(contains(at.issue({"b.example"}, {"--cert-key", own}).err, own));

  fs::permissions(account / "account.key", static_cast<fs::perms>(0604));
  CHECK(contains(at.culmen({"account", "show"}).err, "account.key"));
  fs::permissions(at.state(), static_cast<fs::perms>(0777));
  CHECK(contains(at.culmen({"account", "show"}).err, "write"));
}

TEST_CASE("faults: damaged records are named, and are not wrong usage (D21)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const fs::path folder = at.certificate("a.example");
  std::string damaged;
  SUBCASE("the record") { damaged = "record.json"; }
  SUBCASE("the certificate") { damaged = "live/fullchain.pem"; }
  SUBCASE("what the release before has") {
    fs::remove(folder / "record.json");
    damaged = "live/meta.json";
  }
  std::ofstream(folder / damaged) << "{\"server\":";
  const Outcome revoked = run({culmen_path(), "revoke", "a.example", "--dir", at.state()});
  CHECK(revoked.exit_code == 1);
  CHECK_MESSAGE(contains(revoked.err, damaged.substr(damaged.find('/') + 1)), revoked.err);
  CHECK(at.ca.request_counts()["revoke-cert"] == 0);
}

namespace {

/// What a program does to folders, seen at its system calls.
class FolderWatch {
 public:
  void see(pid_t thread, const __ptrace_syscall_info& info) {
    const auto& arguments = info.entry.args;
    switch (static_cast<long>(info.entry.nr)) {
#ifdef SYS_mkdir
      case SYS_mkdir: return made(path_of(thread, AT_FDCWD, arguments[0]));
      case SYS_rename: return moved(path_of(thread, AT_FDCWD, arguments[1]));
#endif
      case SYS_mkdirat: return made(path_of(thread, static_cast<int>(arguments[0]), arguments[1]));
      case SYS_renameat:
      case SYS_renameat2: return moved(path_of(thread, static_cast<int>(arguments[2]), arguments[3]));
      case SYS_fsync: return synced(file_of(thread, static_cast<int>(arguments[0])));
      case SYS_sendto:
      case SYS_sendmsg:
      case SYS_write:
      case SYS_writev:
        if (file_of(thread, static_cast<int>(arguments[0])).string().starts_with("socket:")) sends();
        return;
      default: return;
    }
  }
  int requests_with_key = 0;
  std::set<fs::path> lost;  ///< Folders that a loss of power could have taken when a request needed what is in them.

 private:
  static fs::path file_of(pid_t thread, int number) {
    std::error_code none;
    return fs::read_symlink("/proc/" + std::to_string(thread) + "/fd/" + std::to_string(number), none);
  }
  static fs::path path_of(pid_t thread, int folder, std::uint64_t address) {
    std::string text;
    const int memory = open(("/proc/" + std::to_string(thread) + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
    for (char c = 0; pread(memory, &c, 1, static_cast<off_t>(address++)) == 1 && c != '\0';) text += c;
    close(memory);
    const fs::path path = text;
    return (path.is_absolute() || folder == AT_FDCWD ? path : file_of(thread, folder) / path).lexically_normal();
  }
  void made(const fs::path& folder) {
    if (!fs::exists(folder)) fresh_.insert(folder);
  }
  void moved(const fs::path& to) { has_key_ = has_key_ || to.filename() == "account.key"; }
  void synced(const fs::path& folder) {
    std::erase_if(fresh_, [&](const fs::path& each) { return each.parent_path() == folder; });
  }
  void sends() {
    if (!has_key_) return;
    ++requests_with_key;
    lost.insert(fresh_.begin(), fresh_.end());
  }
  std::set<fs::path> fresh_;  ///< Made, and the folder around them not yet synced.
  bool has_key_ = false;
};

}  // namespace

TEST_CASE("faults: the folders around a key are durable before a request needs it (A12, D19)") {
  const ProgramAtCa at;
  FolderWatch watch;
  const auto outcome =
      culmen::test::run_watched(at.issue_words({"a.example"}), [&](pid_t thread, const __ptrace_syscall_info& info) {
        watch.see(thread, info);
        return false;
      });
  REQUIRE(outcome == culmen::test::KillOutcome::ended_well);
  CHECK(watch.requests_with_key > 5);
  for (const fs::path& folder : watch.lost) CHECK_MESSAGE(false, folder.string());
}
