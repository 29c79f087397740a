// Runs the built culmen program, and test CAs as processes of their own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "support/temporary_folder.hpp"

namespace cli_test {

namespace fs = std::filesystem;
using culmen::test::mode_of;

/// A child process whose output goes to files. Killed at the end if it still runs, and when the thread that started it
/// ends, however it ends.
class Process {
 public:
  /// `input` is opened as its standard input.
  Process(const std::vector<std::string>& command, const std::vector<std::string>& environment = {},
          const std::string& input = "/dev/null");
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const noexcept { return pid_; }
  void signal(int number) const;
  /// The exit code, 128 + the signal's number if one ended it. Throws after 60 s.
  int wait();
  bool running();
  std::string out() const;
  std::string err() const;

 private:
  culmen::test::TemporaryFolder folder_;
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
  /// Standard output as one JSON object.
  boost::json::object json() const;
};

Outcome run(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});
/// The culmen program.
std::string culmen_path();

/// `culmen test-ca` with http-01 on a free port that culmen is told as well.
class TestCaProcess {
 public:
  explicit TestCaProcess(std::vector<std::string> options = {});
  const std::string& url() const noexcept { return url_; }
  std::string http_port() const { return std::to_string(http_port_); }
  std::string root_file() const { return (folder_ / "root.pem").string(); }
  /// How many lines of its log contain `text`.
  int logged(const std::string& text) const;
  Process& process() noexcept { return *process_; }

 private:
  culmen::test::TemporaryFolder folder_;
  std::uint16_t http_port_;
  std::unique_ptr<Process> process_;
  std::string url_;
};

/// Runs culmen with one state folder against one CA.
class Client {
 public:
  explicit Client(const TestCaProcess& ca) : ca_(ca) {}
  /// `culmen <words> --server … --server-ca … --dir …`
  std::vector<std::string> command(std::vector<std::string> words) const;
  Outcome run(std::vector<std::string> words) const { return cli_test::run(command(std::move(words))); }
  /// `culmen issue --agree-tos --http-port … -d …`
  std::vector<std::string> issue_words(const std::vector<std::string>& names, std::vector<std::string> more = {}) const;
  Outcome issue(const std::vector<std::string>& names, std::vector<std::string> more = {}) const {
    return run(issue_words(names, std::move(more)));
  }
  fs::path state() const { return folder_ / "state"; }
  fs::path certificate(const std::string& name) const { return state() / "certificates" / name; }
  /// The one folder under accounts/.
  fs::path account() const;

 private:
  const TestCaProcess& ca_;
  culmen::test::TemporaryFolder folder_;
};

std::string contents(const fs::path& path);
boost::json::object read_object(const fs::path& path);
std::string text(const boost::json::value& value);
/// Waits until `condition` holds; false after 30 s.
template <class Condition>
bool eventually(Condition condition);
std::uint16_t free_port();
void sleep_a_little();

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 1500; ++i) {
    if (condition()) return true;
    sleep_a_little();
  }
  return false;
}

}  // namespace cli_test
