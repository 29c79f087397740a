// Lines of the log for people, programs and the journal, and progress on a terminal.
#include <signal.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "cli/output.hpp"
#include "cli/repeats.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;
using culmen::LogLevel;
using culmen::cli::LogEntry;
using culmen::cli::Repeats;
using culmen::test::TemporaryFolder;
using std::chrono::seconds;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Runs culmen with both streams as its journal.
std::vector<std::string> under_journal(std::vector<std::string> words) {
  std::vector<std::string> command = {"sh", "-c",
                                      "JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr) exec \"$0\" \"$@\" 1>&2"};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

LogEntry entry(const std::string& text, const std::string& topic = "storage") {
  LogEntry made(LogLevel::error, text);
  made.topic = topic;
  return made;
}

}  // namespace

TEST_CASE("log: what is set right is not said again, and what goes wrong after that is news") {
  Repeats repeats;
  Repeats::Time now = Repeats::Time() + seconds(1000);
  repeats.settled("storage");
  CHECK(repeats.is_news(entry("down"), now));
  CHECK_FALSE(repeats.is_news(entry("down"), now + seconds(1)));
  repeats.settled("storage");
  now += seconds(61);
  CHECK(repeats.due(now).empty());
  CHECK(repeats.is_news(entry("down"), now));
  // Within a minute of the last line it waits for the minute to end.
  repeats.settled("storage");
  CHECK_FALSE(repeats.is_news(entry("down"), now + seconds(10)));
  CHECK(repeats.due(now + seconds(59)).empty());
  const std::vector<LogEntry> due = repeats.due(now + seconds(60));
  REQUIRE(due.size() == 1);
  CHECK(due.front().text == "down");
}

TEST_CASE("log: JSON lines, and priorities for the journal") {
  const TestCaProcess ca({"--lifetime", "240"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const std::string state = client.state().string();
  REQUIRE(run({culmen_path(), "edit", "a.example", "-d", "a.example", "-d", "b.example", "--dir", state}).exit_code ==
          0);

  Process as_json({culmen_path(), "run", "--log-format", "json", "--dir", state});
  CHECK(eventually([&] { return contains(as_json.err(), "\"event\":\"issued\""); }));
  as_json.signal(SIGTERM);
  CHECK(as_json.wait() == 0);
  CHECK(as_json.out() == "");
  bool saw_issued = false;
  for (const std::string& line : lines_of(as_json.err())) {
    const json::object object = json::parse(line).as_object();
    CHECK(object.contains("time"));
    CHECK(object.contains("message"));
    if (!object.contains("event") || object.at("event") != "issued") continue;
    saw_issued = true;
    CHECK(object.at("level") == "info");
    CHECK(object.at("certificate") == "a.example");
  }
  CHECK(saw_issued);

  const Outcome good = run(under_journal({culmen_path(), "renew", "--dir", state}));
  INFO(good.err);
  CHECK(lines_of(good.err).size() == 1);
  CHECK(good.err.starts_with("<6>a.example: not due"));
  const Outcome bad = run(under_journal({culmen_path(), "renew", "--dir", state + "/none"}));
  for (const std::string& line : lines_of(bad.err)) CHECK((line.starts_with("<3>") || line.starts_with("<4>")));
  CHECK(bad.err.starts_with("<3>there is no state folder"));
  // Another stream than the journal's.
  const Outcome other = run({culmen_path(), "renew", "--dir", state}, {"JOURNAL_STREAM=1:1"});
  CHECK(other.out.starts_with("a.example: not due"));
}

TEST_CASE("log: what repeats is said seldom, and the last state always") {
  Repeats repeats;
  Repeats::Time now = Repeats::Time() + seconds(1000);
  CHECK(repeats.is_news(entry("down"), now));
  // Storage that goes away and comes back each second.
  for (int i = 1; i < 60; ++i) {
    now += seconds(1);
    CHECK_FALSE(repeats.is_news(entry(i % 2 ? "up" : "down"), now));
    CHECK(repeats.due(now).empty());
  }
  CHECK(repeats.is_news(entry("x", "another topic"), now));
  now += seconds(1);
  const std::vector<LogEntry> due = repeats.due(now);
  REQUIRE(due.size() == 1);
  CHECK(due.front().text == "up (said 59 times since the last line)");

  // The same each minute: after 1, 2, 4 … minutes, at most an hour.
  int said = 0;
  for (int minute = 0; minute < 600; ++minute) {
    now += seconds(61);
    said += repeats.is_news(entry("up"), now) ? 1 : 0;
    said += static_cast<int>(repeats.due(now).size());
  }
  CHECK(said >= 10);
  CHECK(said <= 20);
  // Forgotten after a long silence.
  for (int i = 0; i < 3; ++i) {
    now += std::chrono::hours(3);
    (void)repeats.due(now);
  }
  CHECK(repeats.is_news(entry("up"), now));
}

TEST_CASE("progress: a terminal shows what is waited for and how long, a log does not") {
  const TestCaProcess ca;
  const Client client(ca);
  const TemporaryFolder folder;
  const fs::path hook = folder / "slow";
  {
    std::ofstream file(hook);
    file << "#!/bin/sh\nsleep 3\n";
  }
  fs::permissions(hook, fs::perms::owner_all);
  const std::vector<std::string> issue = client.issue_words({"a.example"}, {"--pre-hook", hook.string()});
  std::string line;
  for (const std::string& word : client.command(issue)) line += "'" + word + "' ";
  const Outcome shown = run({"script", "-qec", line, "/dev/null"});
  INFO(shown.out);
  CHECK(shown.exit_code == 0);
  CHECK(contains(shown.out, "\r\033[K" + hook.string() + ": running (2 s)"));
  CHECK(contains(shown.out, "\r\033[Ka.example: waiting for the CA to validate ("));
  CHECK(contains(shown.out, "\r\033[Kasking the CA (0 s)"));

  const Outcome logged = client.run(client.issue_words({"b.example"}, {"--pre-hook", hook.string()}));
  CHECK(logged.exit_code == 0);
  CHECK_FALSE(contains(logged.out, "\r"));
  CHECK_FALSE(contains(logged.out, " s)"));
}
