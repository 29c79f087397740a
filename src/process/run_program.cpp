#include "culmen/program.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "culmen/error.hpp"

extern char** environ;

namespace culmen {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto time_to_stop = std::chrono::seconds(1);
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
std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& ours) {
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
pid_t start(const std::string& doing, std::vector<std::string> words, std::vector<std::string> environment, int input,
            int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
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
  if (code == 0) return child;
  const std::string why = obstacle_of_program(words.front());
  if (why.empty()) throw failed(doing, "it cannot be run", code);
  throw Error(Errc::solver_failed, doing, "it cannot be run: " + why)
      .with_system_code(std::error_code(code, std::generic_category()));
}

/// A file in memory, so that a program that does not read its input cannot make anybody wait; above standard error, for
/// start().
Descriptor input_with(const std::string& doing, const std::string& text) {
  const Descriptor file(text.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC)
                                     : ::memfd_create("culmen-input", MFD_CLOEXEC));
  Descriptor input(file.get() < 0 ? -1 : ::fcntl(file.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (input.get() < 0) throw failed(doing, "making its input", errno);
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t written = ::write(input.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw failed(doing, "writing its input", errno);
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  if (!text.empty() && ::lseek(input.get(), 0, SEEK_SET) != 0) throw failed(doing, "writing its input", errno);
  return input;
}

struct Ending {
  Ending() = default;
  int status = 0;
  int wait_error = 0;  ///< errno of waitpid when the status is not to be had.
  bool ran_over = false;
  bool cancelled = false;
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

/// Until something can be read, somebody cancels, or the time is up.
void pause_for(int output, int cancel, std::chrono::milliseconds longest) {
  pollfd both[] = {{output, POLLIN, 0}, {cancel, POLLIN, 0}};  // a negative descriptor is passed over
  ::poll(both, 2, static_cast<int>(longest.count()));
}

bool closed_for_good(int output) {
  pollfd readable{output, POLLIN, 0};
  return ::poll(&readable, 1, 0) > 0 && (readable.revents & POLLHUP) != 0;
}

/// Waits for the program itself, not for its output to close: a daemon that it starts may keep the output open.
Ending attend(pid_t child, int output, const ProgramRun& run, const CancelToken& cancel) {
  Ending ending;
  const auto give_up = Clock::now() + std::max(run.time_limit, std::chrono::seconds(1));
  std::optional<Clock::time_point> ends, killed;  // after cancel
  bool output_open = true;
  auto pause = std::chrono::milliseconds(1);
  for (;;) {
    const pid_t ended = ::waitpid(child, &ending.status, WNOHANG);
    if (ended < 0 && errno != EINTR) ending.wait_error = errno;
    if (ended == child || ending.wait_error != 0) break;
    const auto now = Clock::now();
    if (!ends && cancel.cancelled()) ends = now + run.after_cancel;
    if (ends && !killed && now >= *ends) {
      ending.cancelled = true;
      ::kill(-child, SIGTERM);
      killed = now + time_to_stop;
    }
    if (now >= give_up || (killed && now >= *killed)) {
      ending.ran_over = !ending.cancelled;
      ::kill(-child, SIGKILL);
      while (::waitpid(child, &ending.status, 0) < 0 && errno == EINTR) continue;
      break;
    }
    pause_for(output_open ? output : -1, ends ? -1 : cancel.descriptor(), pause);
    if (output_open) {
      read_some(output, ending.output);
      output_open = !closed_for_good(output);
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

/// Where exec would find it; empty: nowhere.
std::string found_in_path(const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  const char* const path = std::getenv("PATH");
  std::string_view left = path ? path : "/usr/bin:/bin";
  for (;;) {
    const auto end = std::min(left.find(':'), left.size());
    const std::string file = std::string(left.substr(0, end)) + "/" + program;
    struct stat found {};
    if (::access(file.c_str(), X_OK) == 0 && ::stat(file.c_str(), &found) == 0 && S_ISREG(found.st_mode)) return file;
    if (end == left.size()) return {};
    left.remove_prefix(end + 1);
  }
}

}  // namespace

std::string run_program(const std::string& doing, const ProgramRun& run, CancelToken cancel) {
  if (run.words.empty()) throw Error(Errc::invalid_argument, doing, "no program is named");
  for (const std::string& word : run.words) {
    if (word.empty() || word.find('\0') != std::string::npos) {
      throw Error(Errc::invalid_argument, doing, "the program and its arguments must not be empty or contain a NUL");
    }
  }
  if (run.after_cancel.count() <= 0 && cancel.cancelled()) throw Error(Errc::cancelled, doing);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw failed(doing, "making a pipe", errno);
  const Descriptor reading(ends[0]);
  Descriptor first(ends[1]);
  // Above standard error, for start().
  Descriptor writing(::fcntl(first.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (writing.get() < 0) throw failed(doing, "making a pipe", errno);
  first.close();
  ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  const Descriptor input = input_with(doing, run.input);
  const pid_t child = start(doing, run.words, environment_with(run.variables), input.get(), writing.get());
  writing.close();
  Ending ending = attend(child, reading.get(), run, cancel);

  if (ending.cancelled) throw Error(Errc::cancelled, doing, "it was ended" + said(ending.output));
  if (ending.ran_over) {
    throw Error(
        Errc::solver_failed, doing,
        "it took longer than " + std::to_string(run.time_limit.count()) + " s and was killed" + said(ending.output));
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
  return std::move(ending.output);
}

std::string obstacle_of_program(const std::string& program) {
  if (program.empty()) return "its name is empty";
  const std::string file = found_in_path(program);
  if (file.empty()) return "there is no program of that name in PATH";
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return std::generic_category().message(errno);
  if (S_ISDIR(found.st_mode)) return "it is a folder";
  if (!S_ISREG(found.st_mode)) return "it is not a regular file";
  if (::access(file.c_str(), X_OK) != 0) return "it is not executable; chmod +x " + printable(file) + " makes it so";
  std::ifstream contents(file, std::ios::binary);
  std::string line(256, '\0');
  contents.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<std::size_t>(contents.gcount()));
  if (line.starts_with("\x7f"
                       "ELF") ||
      line.empty())
    return {};
  if (!line.starts_with("#!")) return "it has no first line such as #!/bin/sh";
  line = line.substr(2, line.find('\n') - 2);
  if (line.ends_with('\r'))
    return "its interpreter cannot be found: its lines end with CR and LF, as on Windows; convert it to LF";
  std::istringstream words(line);
  std::string interpreter;
  words >> interpreter;
  if (interpreter.empty() || ::access(interpreter.c_str(), X_OK) != 0)
    return "its interpreter " + printable(interpreter) + " does not exist";
  return {};
}

}  // namespace culmen
