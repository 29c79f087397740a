// A program that is killed: at any time, or at one of its system calls.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace chaos {

/// This system does not let programs trace others.
struct Untraceable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A storage that fails from the `first` call on: for good, or only that call.
struct StorageFault {
  enum class Kind { full, read_only, lost };

  std::filesystem::path folder;
  int first = 1;
  Kind kind = Kind::full;
  bool lasts = true;
  /// What the calls fail with.
  int error() const noexcept;
};

class Victim {
 public:
  enum class How { untraced, traced };

  enum class Errors { inherited, read };

  /// Starts it. A traced one is stopped before its first instruction, and may only be used on this thread. `read`: its
  /// standard error is among its lines.
  Victim(std::vector<std::string> words, How how, Errors errors = Errors::inherited);
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  /// Reads its output until this line is there; false if it ends, or the time is over.
  bool wait_for_line(const std::string& line, std::chrono::milliseconds limit);
  void write_line(const std::string& line) const;
  /// The whole lines that it has written so far, or by its end.
  std::vector<std::string> lines();

  /// Lets a traced one run until it enters or leaves the next system call that changes a file or sends something; at
  /// most for that long. What only fills a file or syncs it counts once. False once it has ended.
  bool step(std::chrono::milliseconds limit);
  /// What step() stopped at.
  const std::string& stopped_at() const noexcept { return stopped_at_; }

  /// Lets a traced one run to its end on that storage, at most for that long. Returns how many of its calls failed.
  int run_on(const StorageFault& fault, std::chrono::milliseconds limit);

  void kill();
  /// Waits until it ends by itself; false, and kills it, if that takes longer.
  bool end(std::chrono::milliseconds limit);
  bool ended_well() const noexcept { return exit_code_ == 0; }
  /// 128 + the signal's number if one ended it.
  int exit_code() const noexcept { return exit_code_; }

 private:
  bool read_some(std::chrono::milliseconds limit);
  bool reap(bool wait);
  bool resume(int thread, int signal) const;
  int next_call(std::chrono::milliseconds limit);

  pid_t process_ = -1;
  bool is_traced_ = false;
  int input_ = -1, output_ = -1;
  int exit_code_ = -1;
  int stopped_thread_ = 0;
  std::string text_, stopped_at_;
  std::map<int, std::string> pending_;  // by thread: the call that it is in, if its end counts
};

}  // namespace chaos
