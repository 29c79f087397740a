#include "program_chaos.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include <signal.h>

#include <boost/json.hpp>

#include "culmen/test_ca.hpp"
#include "support/culmen_program.hpp"
#include "support/file_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "victim.hpp"

namespace chaos {

namespace {

namespace fs = std::filesystem;
using namespace culmen;
using cli_test::Outcome;
using culmen::test::file_text;
using std::chrono::microseconds;
using std::chrono::seconds;

constexpr seconds patience(90);  // for what a busy machine does in one or two
constexpr int most_in_one_folder = 20;
constexpr const char* early_limit = "since many certificates were replaced early this hour";
constexpr const char* early_limit_over = "it had to wait during this run, and can be ordered now";

enum class Command { first, issue, force, renew, rollover, revoke, remove, rename, import };
constexpr Command all_commands[] = {Command::first,  Command::issue,    Command::force,
                                    Command::renew,  Command::rollover, Command::revoke,
                                    Command::remove, Command::rename,   Command::import};

/// As ProgramOptions::commands has it.
const char* word_of(Command command) {
  switch (command) {
    case Command::first: return "first";
    case Command::issue: return "issue";
    case Command::force: return "force";
    case Command::renew: return "renew";
    case Command::rollover: return "rollover";
    case Command::revoke: return "revoke";
    case Command::remove: return "delete";
    case Command::rename: return "rename";
    case Command::import: return "import";
  }
  return "";
}

const char* name_of(Command command) {
  switch (command) {
    case Command::first: return "the first issue";
    case Command::force: return "issue --force";
    case Command::renew: return "renew --force";
    case Command::rollover: return "account rollover";
    case Command::issue:
    case Command::revoke:
    case Command::remove:
    case Command::rename:
    case Command::import: return word_of(command);
  }
  return "";
}

std::vector<std::string> lines_of(const Outcome& outcome) {
  std::vector<std::string> lines;
  for (const std::string& text : {outcome.out, outcome.err}) {
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      lines.push_back(text.substr(begin, end - begin));
  }
  return lines;
}

std::string contents_of(const fs::path& folder) {
  std::string all = ":";
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    all += " " + fs::relative(entry.path(), folder).string();
  return all;
}

bool says(const std::vector<std::string>& lines, const std::string& text) {
  return std::ranges::any_of(lines, [&](const std::string& line) { return contains(line, text); });
}

/// A CA and a state folder: kept.example is always there, other.example comes and goes, or becomes renamed.example;
/// lego.example is imported.
class Ground {
 public:
  enum class Answers { listen, webroot };

  /// `webroot`: many programs may answer challenges at once.
  explicit Ground(ProgramResult& result, Answers answers = Answers::listen)
      : result_(result),
        port_(cli_test::free_port()),
        ca_(options(port_)),
        root_((ca_.start(), files_.write("root.pem", ca_.root_pem()))),
        inspector_(result, ca_, root_, state()) {
    if (answers == Answers::webroot) server_ = std::make_unique<FileServer>(port_, webroot());
  }
  ~Ground() {
    result_.orders += static_cast<int>(ca_.sizes().orders);
    result_.certificates += static_cast<int>(ca_.issued().size());
    const int accounts = static_cast<int>(ca_.sizes().accounts);
    result_.accounts += accounts;
    result_.extra_accounts += std::max(accounts - 1, 0);
  }
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  fs::path state() const { return files_ / "state"; }
  Inspector& inspector() noexcept { return inspector_; }

  std::vector<std::string> issue(const std::string& name, const std::string& more = {}) const {
    std::vector<std::string> words = at_ca({"issue", "--agree-tos", "-d", name});
    if (server_) {
      words.insert(words.end(), {"--webroot", webroot()});
    } else {
      words.insert(words.end(), {"--http-port", std::to_string(port_)});
    }
    if (!more.empty()) words.push_back(more);
    return words;
  }
  std::vector<std::string> words(Command command) const {
    switch (command) {
      case Command::first: return issue("kept.example");
      case Command::issue: return issue("other.example");
      case Command::force: return issue("kept.example", "--force");
      case Command::renew: return here({"renew", "--force"});
      case Command::rollover: return at_ca({"account", "rollover"});
      case Command::revoke: return at_ca({"revoke", "other.example"});
      case Command::remove: return here({"delete", "other.example"});
      case Command::rename: return here({"rename", "other.example", "renamed.example"});
      case Command::import:
        return at_ca({"import", "lego", "--from", (files_ / "lego").string(), "--webroot", webroot()});
    }
    throw std::logic_error("an unknown command");
  }
  std::vector<std::string> here(std::vector<std::string> words) const {
    words.insert(words.begin(), cli_test::culmen_path());
    words.insert(words.end(), {"--dir", state().string()});
    return words;
  }
  std::vector<std::string> at_ca(std::vector<std::string> words) const {
    words.insert(words.end(), {"--server", ca_.directory_url(), "--server-ca", root_});
    return here(std::move(words));
  }

  /// Makes what the command needs; undisturbed.
  void prepare(Command command) {
    inspector_.now_at(std::string("before ") + name_of(command));
    remove("renamed.example");
    switch (command) {
      case Command::first: break;
      case Command::issue:
        need("kept.example");
        remove("other.example");
        break;
      case Command::revoke:
        // Also one that was revoked before would do; but then nothing is sent.
        remove("other.example");
        need("other.example");
        break;
      case Command::remove:
      case Command::rename:
        need("kept.example");
        need("other.example");
        break;
      case Command::renew:
        remove("lego.example");  // nobody answers for it
        need("kept.example");
        break;
      case Command::force:
      case Command::rollover: need("kept.example"); break;
      case Command::import:
        need("kept.example");
        remove("lego.example");
        make_lego_folder();
        break;
    }
  }

  /// Whatever was killed or refused: what is on the disk is whole.
  void check_disturbed(const std::string& where, std::vector<std::string> details) {
    inspector_.now_at(where, std::move(details));
    check(false);
  }

  /// The same command again, undisturbed, has to succeed or to say that it is done; and what is there then is whole.
  void check_next(Command command) {
    Outcome next = cli_test::run(words(command));
    if (has_to_rest(next.exit_code, lines_of(next))) next = cli_test::run(words(command));
    if (!is_done(command, next)) bad("the next run failed with " + std::to_string(next.exit_code), next);
    settle(command);
  }
  /// What has settings has a record, and the other way round.
  void check_settings() {
    for (const std::string id : {"other.example", "renamed.example"}) {
      const bool has_settings = fs::exists(state() / "local" / "deploy" / (id + ".json"));
      if (has_settings && !has(id)) inspector_.half(id + " has settings and no record");
      if (!has_settings && has(id)) inspector_.half(id + " has a record and no settings");
    }
  }
  /// After several at once, each has to succeed. 3 is right only for the limit on early renewals, which the forced ones
  /// of a few rounds reach: what is there is whole then all the same.
  void finish(const std::vector<Command>& commands) {
    bool waits = false;
    for (const Command command : commands) {
      const Outcome outcome = cli_test::run(words(command));
      const bool has_to_wait =
          outcome.exit_code == 3 && (contains(outcome.err, early_limit) || contains(outcome.err, early_limit_over));
      waits = waits || has_to_wait;
      if (outcome.exit_code != 0 && !has_to_wait)
        bad("the next run failed with " + std::to_string(outcome.exit_code), outcome);
    }
    result_.waiting += waits ? 1 : 0;
    settle(Command::issue);
  }
  /// Many forced renewals in one folder reach the limit of the program itself, one in twelve seconds. Waits for that.
  static bool has_to_rest(int exit_code, const std::vector<std::string>& lines) {
    if (exit_code != 3 || !(says(lines, early_limit) || says(lines, early_limit_over))) return false;
    std::this_thread::sleep_for(seconds(13));
    return true;
  }
  /// What has to be there after the command, and what must not.
  void settle(Command command) {
    std::vector<std::string> ids;
    if (command != Command::remove && command != Command::revoke) ids = {"kept.example"};
    if (command == Command::issue || command == Command::revoke) ids.push_back("other.example");
    if (command == Command::rename) ids.push_back("renamed.example");
    if (command == Command::import) ids.push_back("lego.example");
    check(true, ids);
    // The empty folder may stay: it is removed last, and the next run says that nothing is there.
    const fs::path removed = state() / "certificates" / "other.example";
    if ((command == Command::remove || command == Command::rename) && fs::exists(removed) && !fs::is_empty(removed))
      inspector_.half("other.example is still there" + contents_of(removed));
    for (const char* what : {"list", "status"}) {
      const Outcome outcome = cli_test::run(here({what}));
      // status answers 1 for one that is revoked.
      const bool may_be_one = std::strcmp(what, "status") == 0 && contains(outcome.out, ": revoked");
      if (outcome.exit_code != 0 && !(may_be_one && outcome.exit_code == 1))
        bad(std::string(what) + " fails with " + std::to_string(outcome.exit_code), outcome);
    }
  }
  void bad(const std::string& what, const Outcome& outcome) {
    std::string whole = what;
    for (const std::string& line : lines_of(outcome)) whole += "\n    " + line;
    inspector_.fault(whole);
  }
  static bool is_done(Command command, const Outcome& outcome) {
    // The killed one had done it: other.example is gone. settle() looks whether renamed.example is there.
    return outcome.exit_code == 0 || ((command == Command::remove || command == Command::rename) &&
                                      contains(outcome.err, "there is no certificate \"other.example\""));
  }
  void remove(const std::string& id) {
    if (has(id)) run(here({"delete", id}));
  }

 private:
  static TestCaOptions options(std::uint16_t port) {
    TestCaOptions options;
    options.http_port = port;
    options.resolve["*"] = "127.0.0.1";
    return options;
  }

  std::string webroot() const {
    fs::create_directories(files_ / "webroot");
    return (files_ / "webroot").string();
  }
  bool has(const std::string& id) const { return fs::exists(state() / "certificates" / id / "record.json"); }
  void run(const std::vector<std::string>& words) {
    const Outcome outcome = cli_test::run(words);
    if (outcome.exit_code != 0) bad("an undisturbed run failed with " + std::to_string(outcome.exit_code), outcome);
  }
  void need(const std::string& id) {
    if (!has(id)) run(issue(id));
  }
  void check(bool settled, const std::vector<std::string>& ids = {}) {
    inspector_.check(settled, ids);
    if (!settled || !fs::exists(state())) return;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(state())) {
      const std::string name = entry.path().filename().string();
      const std::string path = fs::relative(entry.path(), state()).string();
      if (name.starts_with(".culmen") || name == "account.key.new") inspector_.litter(path);
    }
  }

  /// The account as it is now, and a certificate, as lego leaves them.
  void make_lego_folder() const {
    const fs::path folder = files_ / "lego";
    fs::remove_all(folder);
    std::string host = ca_.directory_url().substr(std::strlen("https://"));
    host.resize(host.find('/'));
    std::ranges::replace(host, ':', '_');
    const fs::path account = folder / "accounts" / host / "me@example.com";
    fs::create_directories(account / "keys");
    fs::create_directories(folder / "certificates");
    for (const fs::directory_entry& entry : fs::directory_iterator(state() / "accounts")) {
      fs::copy_file(entry.path() / "account.key", account / "keys" / "me@example.com.key");
      const boost::json::object known = cli_test::read_object(entry.path() / "account.json");
      std::ofstream(account / "account.json") << boost::json::serialize(boost::json::object{
          {"email", "me@example.com"}, {"registration", {{"body", boost::json::object()}, {"uri", known.at("url")}}}});
    }
    const fs::path live = state() / "certificates" / "kept.example" / "live", to = folder / "certificates";
    fs::copy_file(live / "fullchain.pem", to / "lego.example.crt");
    fs::copy_file(live / "key.pem", to / "lego.example.key");
    std::ofstream(to / "lego.example.json") << R"({"domain": "lego.example"})";
  }

  ProgramResult& result_;
  const std::uint16_t port_;
  const test::TemporaryFolder files_;
  TestCa ca_;
  const std::string root_;
  Inspector inspector_;
  std::unique_ptr<FileServer> server_;
};

class Disturber {
 public:
  explicit Disturber(const ProgramOptions& options) : options_(options), random_(options.seed) {
    for (const std::string& word : options.commands) {
      const auto* const found = std::ranges::find(all_commands, word, word_of);
      if (found == std::end(all_commands)) throw std::invalid_argument("there is no command \"" + word + "\"");
      commands_.push_back(*found);
    }
    if (commands_.empty()) commands_.assign(std::begin(all_commands), std::end(all_commands));
  }

  ProgramResult run() {
    while (result_.hits < options_.kills && goes_on()) kill_at_random();
    while (result_.rounds < options_.rounds && goes_on()) many_at_once();
    try {
      for (const Command command : commands_) {
        if (options_.every_step > 0) kill_at_each_step(command);
      }
      for (const Command command : commands_) {
        if (options_.every_fault <= 0) break;
        for (const StorageFault::Kind kind :
             {StorageFault::Kind::full, StorageFault::Kind::read_only, StorageFault::Kind::lost})
          fail_at_each_step(command, kind);
      }
    } catch (const Untraceable& error) {
      std::cerr << error.what() << std::endl;
    }
    ground_.reset();
    many_.reset();
    return std::move(result_);
  }

 private:
  bool goes_on() const {
    const bool late = options_.limit > seconds(0) && std::chrono::steady_clock::now() - begin_ > options_.limit;
    return !late && result_.faults.size() < most_faults;
  }
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  CommandCounts& counts(Command command) { return result_.of[word_of(command)]; }
  /// Of many in one folder, the last ones would come near the limits of a CA that the program keeps count of.
  Ground& ground_for(Command command) {
    if (!ground_ || command == Command::first || ++uses_ > most_in_one_folder) {
      ground_.reset();
      ground_ = std::make_unique<Ground>(result_);
      uses_ = 1;
    }
    return *ground_;
  }

  void kill_at_random() {
    const Command command = commands_[below(static_cast<int>(commands_.size()))];
    if (!spans_.contains(command)) spans_[command] = undisturbed_time(command);
    Ground& ground = ground_for(command);
    ground.prepare(command);
    microseconds& span = spans_[command];
    const microseconds moment(below(static_cast<int>(span.count())));
    Victim victim(ground.words(command), Victim::How::untraced, Victim::Errors::read);
    std::this_thread::sleep_for(moment);
    victim.kill();
    // How long a run takes is learned from the kills themselves. With these factors, one in ten or so comes too late,
    // so that the last moments are among those that are tried, however busy the machine is.
    const bool is_hit = victim.exit_code() == 128 + SIGKILL;
    span = is_hit ? span * 101 / 100 : std::max(span * 9 / 10, microseconds(1000));
    ++(is_hit ? counts(command).hits : counts(command).late);
    ++(is_hit ? result_.hits : result_.late);
    const std::string where = "kill " + std::to_string(result_.hits + result_.late) + " of seed " +
                              std::to_string(options_.seed) + ", " + name_of(command) + ", after " +
                              std::to_string(moment.count()) + " us";
    ground.check_disturbed(where, victim.lines());
    ground.check_next(command);
  }

  microseconds undisturbed_time(Command command) {
    Ground& ground = ground_for(command);
    ground.prepare(command);
    const auto begin = std::chrono::steady_clock::now();
    Victim victim(ground.words(command), Victim::How::untraced, Victim::Errors::read);
    if (!victim.end(patience) || !victim.ended_well())
      throw std::runtime_error(std::string("undisturbed, it failed: ") + name_of(command));
    return std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - begin);
  }

  /// Of one in so many: another one with each command and kind of fault. `every` seeds in a row take all of them.
  int first_of(int every) {
    return 1 + static_cast<int>((options_.seed + 97 * searches_++) % static_cast<unsigned>(every));
  }

  void kill_at_each_step(Command command) {
    ground_.reset();
    for (int step = first_of(options_.every_step); goes_on();) {
      Ground& ground = ground_for(command);
      ground.prepare(command);
      Victim victim(ground.words(command), Victim::How::traced, Victim::Errors::read);
      bool running = true;
      for (int i = 0; i < step && running; ++i) running = victim.step(patience);
      if (!running) {
        if (Ground::has_to_rest(victim.exit_code(), victim.lines())) continue;
        return check_end(command, ground, victim);
      }
      victim.kill();
      ++result_.steps;
      ++counts(command).steps;
      ground.check_disturbed(
          std::string(name_of(command)) + ", step " + std::to_string(step) + ", " + victim.stopped_at(),
          victim.lines());
      ground.check_next(command);
      step += options_.every_step;
    }
  }

  /// There are no more steps or calls: it was not disturbed.
  static void check_end(Command command, Ground& ground, Victim& victim) {
    ground.check_disturbed(std::string(name_of(command)) + ", traced", victim.lines());
    if (!victim.ended_well())
      ground.inspector().fault("undisturbed, it failed with " + std::to_string(victim.exit_code()));
  }

  void fail_at_each_step(Command command, StorageFault::Kind kind) {
    ground_.reset();
    for (int step = first_of(options_.every_fault); goes_on();) {
      Ground& ground = ground_for(command);
      ground.prepare(command);
      StorageFault fault;
      fault.folder = ground.state();
      fault.first = step;
      fault.kind = kind;
      Victim victim(ground.words(command), Victim::How::traced, Victim::Errors::read);
      const int failed = victim.run_on(fault, patience);
      if (failed == 0) {
        if (Ground::has_to_rest(victim.exit_code(), victim.lines())) continue;
        return check_end(command, ground, victim);
      }
      ++result_.storage_faults;
      ++counts(command).faults;
      const std::vector<std::string> lines = victim.lines();
      const std::string reason = std::strerror(fault.error());
      ground.check_disturbed(std::string(name_of(command)) + ", \"" + reason + "\" from call " + std::to_string(step) +
                                 " on, at " + victim.stopped_at(),
                             lines);
      if (victim.ended_well()) {
        ++result_.survived;
        ++counts(command).survived;
      } else {
        if (victim.exit_code() >= 128)
          ground.inspector().fault("a signal ended it: " + std::to_string(victim.exit_code() - 128));
        if (victim.exit_code() != 1) ground.inspector().fault("its exit code is " + std::to_string(victim.exit_code()));
        const bool says_why = std::ranges::any_of(lines, [&](const std::string& line) {
          return contains(line, reason) && contains(line, ground.state().string());
        });
        if (!says_why) ground.inspector().fault("no line of it names the file and the reason");
      }
      ground.check_next(command);
      step += options_.every_fault;
    }
  }

  void many_at_once() {
    if (!many_ || result_.rounds % 10 == 0) many_ = std::make_unique<Ground>(result_, Ground::Answers::webroot);
    Ground& ground = *many_;
    const std::string where =
        "round " + std::to_string(result_.rounds + 1) + " of seed " + std::to_string(options_.seed);
    // The first ones of a folder begin with nothing at all.
    const bool is_new = result_.rounds % 10 == 0;
    if (!is_new) {
      ground.prepare(Command::import);
      ground.prepare(Command::remove);
    }
    ++result_.rounds;
    ground.inspector().now_at(where);
    std::vector<std::vector<std::string>> all;
    for (const Command command : {Command::first, Command::issue, Command::force, Command::renew, Command::rollover,
                                  Command::revoke, Command::remove, Command::rename}) {
      all.push_back(ground.words(command));
      all.push_back(ground.words(command));
    }
    if (!is_new) all.push_back(ground.words(Command::import));
    all.push_back(ground.here({"list"}));
    all.push_back(ground.here({"status"}));
    all.push_back(ground.here({"account", "list"}));
    while (all.size() < 20) all.push_back(ground.here({"renew"}));
    std::ranges::shuffle(all, random_);
    std::vector<std::unique_ptr<cli_test::Process>> processes;
    for (const std::vector<std::string>& words : all) processes.push_back(std::make_unique<cli_test::Process>(words));
    for (std::size_t i = 0; i < processes.size(); ++i) {
      Outcome outcome;
      outcome.exit_code = processes[i]->wait();
      outcome.out = processes[i]->out();
      outcome.err = processes[i]->err();
      ++result_.processes;
      result_.busy += outcome.exit_code == 3 ? 1 : 0;
      if (may_end_so(all[i], outcome, is_new)) continue;
      std::string command;
      for (std::size_t word = 1; word < std::min<std::size_t>(all[i].size(), 8); ++word) command += " " + all[i][word];
      ground.bad("beside others failed with " + std::to_string(outcome.exit_code) + ":" + command, outcome);
    }
    ground.check_disturbed(where, {});
    ground.check_settings();
    // Whoever is next goes on with what they left.
    ground.finish({Command::first, Command::issue, Command::renew, Command::rollover});
  }

  /// How a command may end beside nineteen others, but with success. 3 is right if another program was in the way: then
  /// that one does the work, or the same command does it later. So it has to say who. What fails for good may only do
  /// so because others delete, rename, revoke or have not yet issued other.example, or because the folder is new.
  static bool may_end_so(const std::vector<std::string>& words, const Outcome& outcome, bool is_new) {
    const std::string& command = words[1];
    const auto says_one_of = [&](std::initializer_list<const char*> texts) {
      return std::ranges::any_of(texts, [&](const char* text) { return contains(outcome.out + outcome.err, text); });
    };
    switch (outcome.exit_code) {
      case 0: return true;
      case 1:
      case 2: break;
      case 3:
        return says_one_of({"another culmen works on it", early_limit, early_limit_over,
                            "another culmen deleted or renamed other.example meanwhile",
                            "while another process changed the account's key",
                            // what failed because of that is tried again after a pause
                            "kept.example: not now: it was never issued; not before",
                            // renew: others deleted it, and another one issues it again
                            "other.example: not now: it was never issued"});
      default: return false;
    }
    if (is_new && says_one_of({"there is no state folder", "culmen has stored nothing", "there is none in storage"}))
      return command != "issue";
    // Settings come before the record, and go after it. For a second, which is short on a busy machine, the program
    // waits for the record before it takes the certificate for lost. check_settings() sees whether it is.
    if (command != "issue" && says_one_of({"this host has settings for it", "example: lost"})) return true;
    if (command == "status") return says_one_of({": revoked", "never issued", "was begun and not finished"});
    if (command == "revoke" && says_one_of({"was never issued"})) return true;
    if (command == "rename" && says_one_of({"there is a certificate \"renamed.example\" already"})) return true;
    return (command == "revoke" || command == "delete" || command == "rename") &&
           says_one_of({"there is no certificate \"other.example\""});
  }

  const ProgramOptions options_;
  std::mt19937 random_;
  ProgramResult result_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::vector<Command> commands_;
  std::map<Command, microseconds> spans_;  // within which each is killed
  std::unique_ptr<Ground> ground_, many_;
  int uses_ = 0;  // of ground_
  unsigned searches_ = 0;
};

}  // namespace

ProgramResult disturb_program(const ProgramOptions& options) { return Disturber(options).run(); }

std::ostream& operator<<(std::ostream& out, const ProgramResult& result) {
  const auto row = [&](const char* what, int number) { out << std::left << std::setw(46) << what << number << '\n'; };
  row("kills at a random moment, while it ran", result.hits);
  row("  that came after its end", result.late);
  row("kills at a system call", result.steps);
  row("rounds of many at once", result.rounds);
  row("  processes", result.processes);
  row("  that were to try again later", result.busy);
  row("  after which failures had to be waited for", result.waiting);
  row("storages that failed", result.storage_faults);
  row("  after what counts", result.survived);
  row("orders", result.orders);
  row("certificates", result.certificates);
  row("accounts", result.accounts);
  row("  more than one for a folder", result.extra_accounts);
  row("lost keys", result.lost_keys);
  row("half states", result.half_states);
  row("litter", result.litter);
  row("faults in all", static_cast<int>(result.faults.size()));
  for (const auto& [command, counts] : result.of) {
    out << std::left << std::setw(10) << command << "at random " << counts.hits << " and " << counts.late
        << " after its end, at system calls " << counts.steps << ", failing storages " << counts.faults << ", of which "
        << counts.survived << " after what counts\n";
  }
  return out;
}

}  // namespace chaos
