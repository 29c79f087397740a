#include "support/culmen_program.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <boost/json/parse.hpp>

namespace cli_test {

Process::Process(const std::vector<std::string>& command, const std::vector<std::string>& environment,
                 const std::string& input) {
  // A small environment of the test's own: no proxies, no home of the developer.
  std::vector<std::string> variables = environment;
  variables.push_back("HOME=" + folder_.path().string());
  for (const char* kept :
       {"PATH", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "LD_LIBRARY_PATH"}) {
    if (const char* value = getenv(kept)) variables.push_back(std::string(kept) + "=" + value);
  }
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
  };
  std::vector<std::string> words = command;
  const std::vector<char*> arguments = pointers(words), child_environment = pointers(variables);
  const int streams[] = {::open(input.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC),
                         ::open((folder_ / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
                         ::open((folder_ / "err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    // Nothing that allocates or locks from here on: the parent may have threads.
    // A test program that crashes runs no destructors; its servers must not outlive it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool good = getppid() == parent;
    for (int i = 0; i < 3; ++i) good = good && dup2(streams[i], i) == i;
    if (good) execvpe(arguments.front(), arguments.data(), child_environment.data());
    const int reason = errno;
    static_cast<void>(!write(report[1], &reason, sizeof reason));
    _exit(127);
  }
  int failed = pid_ < 0 ? errno : 0;
  close(report[1]);
  for (const int stream : streams) close(stream);
  if (read(report[0], &failed, sizeof failed) > 0) waitpid(pid_, nullptr, 0);
  close(report[0]);
  if (failed != 0) throw std::system_error(failed, std::generic_category(), words.front());
}

Process::~Process() {
  if (exit_code_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Process::signal(int number) const { kill(pid_, number); }

bool Process::running() {
  if (exit_code_) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

int Process::wait() {
  if (!eventually([this] { return !running(); }) && !eventually([this] { return !running(); })) {
    throw std::runtime_error("a process did not end within 60 s; it said: " + out() + err());
  }
  return *exit_code_;
}

std::string Process::out() const { return contents(folder_ / "out"); }

std::string Process::err() const { return contents(folder_ / "err"); }

boost::json::object Outcome::json() const { return boost::json::parse(out).as_object(); }

Outcome run(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  Process process(command, environment);
  Outcome outcome;
  outcome.exit_code = process.wait();
  outcome.out = process.out();
  outcome.err = process.err();
  return outcome;
}

std::string culmen_path() { return CULMEN_PROGRAM; }

TestCaProcess::TestCaProcess(std::vector<std::string> options) : http_port_(free_port()) {
  std::vector<std::string> command = {culmen_path(), "test-ca",   "--root-file", root_file(), "--http-port",
                                      http_port(),   "--resolve", "*=127.0.0.1", "-v"};
  command.insert(command.end(), options.begin(), options.end());
  process_ = std::make_unique<Process>(command);
  const bool started =
      eventually([this] { return process_->out().find('\n') != std::string::npos || !process_->running(); });
  if (!started || !process_->running()) throw std::runtime_error("the test CA did not start: " + process_->err());
  url_ = process_->out().substr(0, process_->out().find('\n'));
}

int TestCaProcess::logged(const std::string& text) const {
  std::istringstream lines(process_->err());
  int count = 0;
  for (std::string line; std::getline(lines, line);) count += line.find(text) != std::string::npos;
  return count;
}

std::vector<std::string> Client::command(std::vector<std::string> words) const {
  words.insert(words.begin(), culmen_path());
  for (const std::string& word : {std::string("--server"), ca_.url(), std::string("--server-ca"), ca_.root_file(),
                                  std::string("--dir"), state().string()}) {
    words.push_back(word);
  }
  return words;
}

std::vector<std::string> Client::issue_words(const std::vector<std::string>& names,
                                             std::vector<std::string> more) const {
  std::vector<std::string> words = {"issue", "--agree-tos"};
  const bool has_solver_flags = [&more] {
    for (const std::string& word : more) {
      if (word == "--webroot" || word == "--http-port") return true;
    }
    return false;
  }();
  if (!has_solver_flags) words.insert(words.end(), {"--http-port", ca_.http_port()});
  for (const std::string& name : names) words.insert(words.end(), {"-d", name});
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

fs::path Client::account() const {
  for (const auto& entry : fs::directory_iterator(state() / "accounts")) return entry.path();
  throw std::runtime_error("there is no account");
}

std::string contents(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

boost::json::object read_object(const fs::path& path) { return boost::json::parse(contents(path)).as_object(); }

std::string text(const boost::json::value& value) { return std::string(value.as_string()); }

// Below the range the kernel takes ports from by itself, so that nothing else gets it before culmen binds.
std::uint16_t free_port() {
  static unsigned next = 20000 + static_cast<unsigned>(getpid()) * 37 % 10000;
  for (int tries = 0; tries < 1000; ++tries) {
    const auto port = static_cast<std::uint16_t>(20000 + (next++ - 20000) % 10000);
    const int socket_ = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int both = 0;
    setsockopt(socket_, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    const bool free = bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(socket_);
    if (free) return port;
  }
  throw std::runtime_error("no free port");
}

void sleep_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

}  // namespace cli_test
