#include "process/run_program.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "culmen/error.hpp"

extern char** environ;

namespace culmen::process {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t max_output = 4096;  // of the end of it; enough for an error message

class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { close(); }
  int get() const noexcept { return number_; }
  void close() noexcept {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

Error failed(const std::string& doing, const std::string& what, int code) {
  const std::error_code why(code, std::generic_category());
  return Error(Errc::solver_failed, doing, what + ": " + why.message()).with_system_code(why);
}

/// The caller's environment, with our variables replacing those of the same name.
std::vector<std::string> environment_with(const Variables& ours) {
  std::vector<std::string> merged;
  for (char** entry = environ; entry && *entry; ++entry) {
    if (!std::string_view(*entry).starts_with("CULMEN_")) merged.emplace_back(*entry);
  }
  for (const auto& [name, value] : ours) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// Starts the program in a process group of its own: so that what it starts can be ended with it, and a Ctrl-C meant
/// for us does not end it in the middle of a change.
pid_t start(const std::string& doing, std::vector<std::string> words, std::vector<std::string> environment,
            int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  // Standard input last: `output` may have its number, if that was closed.
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // What others in this process opened without close-on-exec: a daemon that the program leaves would keep it open.
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&defaults, number);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments = pointers(words);
  std::vector<char*> variables = pointers(environment);
  pid_t child = -1;
  const int code =
      posix_spawnp(&child, words.front().c_str(), &actions, &attributes, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (code != 0) throw failed(doing, "it cannot be run", code);
  return child;
}

struct Ending {
  Ending() = default;
  int status = 0;
  int wait_error = 0;  ///< errno of waitpid when the status is not to be had.
  bool ran_over = false;
  std::string output;
};

void read_some(int descriptor, std::string& output) {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got <= 0) return;
    output.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.size() > max_output) output.erase(0, output.size() - max_output);
  }
}

/// Waits for the program itself, not for its output to close: a daemon that it starts may keep the output open.
Ending attend(pid_t child, int output, std::chrono::seconds time_limit) {
  Ending ending;
  const auto give_up = Clock::now() + time_limit;
  bool output_open = true;
  auto pause = std::chrono::milliseconds(1);
  for (;;) {
    const pid_t ended = ::waitpid(child, &ending.status, WNOHANG);
    if (ended < 0 && errno != EINTR) ending.wait_error = errno;
    if (ended == child || ending.wait_error != 0) break;
    if (Clock::now() >= give_up) {
      ending.ran_over = true;
      ::kill(-child, SIGKILL);
      while (::waitpid(child, &ending.status, 0) < 0 && errno == EINTR) continue;
      break;
    }
    if (output_open) {
      pollfd readable{output, POLLIN, 0};
      ::poll(&readable, 1, static_cast<int>(pause.count()));
      read_some(output, ending.output);
      output_open = (readable.revents & POLLHUP) == 0;
    } else {
      std::this_thread::sleep_for(pause);
    }
    pause = std::min(2 * pause, std::chrono::milliseconds(50));
  }
  read_some(output, ending.output);
  return ending;
}

std::string said(std::string output) {
  output.erase(output.find_last_not_of(" \t\r\n") + 1);
  if (output.empty()) return "; it said nothing";
  for (char& c : output) {
    if (c == '\n') c = ' ';
  }
  return "; it said: " + printable(output, 1000);
}

}  // namespace

void run_program(const std::string& doing, std::vector<std::string> words, const Variables& variables,
                 std::chrono::seconds time_limit) {
  for (const std::string& word : words) {
    if (word.empty() || word.find('\0') != std::string::npos) {
      throw Error(Errc::invalid_argument, doing, "the program and its arguments must not be empty or contain a NUL");
    }
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw failed(doing, "making a pipe", errno);
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  const pid_t child = start(doing, std::move(words), environment_with(variables), writing.get());
  writing.close();
  const Ending ending = attend(child, reading.get(), time_limit);

  if (ending.ran_over) {
    throw Error(
        Errc::solver_failed, doing,
        "it took longer than " + std::to_string(time_limit.count()) + " s and was killed" + said(ending.output));
  }
  if (ending.wait_error != 0) throw failed(doing, "how it ended cannot be learned", ending.wait_error);
  if (WIFSIGNALED(ending.status)) {
    throw Error(Errc::solver_failed, doing,
                "it was ended by signal " + std::to_string(WTERMSIG(ending.status)) + said(ending.output));
  }
  if (WEXITSTATUS(ending.status) != 0) {
    throw Error(Errc::solver_failed, doing,
                "it failed with exit code " + std::to_string(WEXITSTATUS(ending.status)) + said(ending.output));
  }
}

}  // namespace culmen::process
