// What the program says: lines for people, or one JSON object for programs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/error.hpp"
#include "culmen/identifier.hpp"
#include "culmen/manager_options.hpp"
#include "json_object.hpp"
#include "repeats.hpp"

namespace culmen::cli {

/// A reason to stop that the program itself found; Error is what the library found.
class Failure : public std::exception {
 public:
  Failure(int exit_code_, std::string code_, std::string message_, std::string advice_ = {})
      : exit_code(exit_code_), code(std::move(code_)), message(std::move(message_)), advice(std::move(advice_)) {}
  const char* what() const noexcept override { return message.c_str(); }

  int exit_code;
  std::string code;  ///< For programs: as Errc's names.
  std::string message;
  std::string advice;  ///< What to do about it; empty: nothing to add.
};

/// A line of the log. A plain value.
struct LogEntry {
  LogEntry(LogLevel level_, std::string text_) : level(level_), text(std::move(text_)) {}
  LogLevel level;
  std::string text;
  std::string certificate, event;  ///< For programs; may be empty.
  /// Lines with the same topic replace each other when they repeat; empty: the text is the topic.
  std::string topic;
};

/// Lines for people go to standard output, errors and the log to standard error. With `json`, standard output carries
/// nothing but the one object that finish() prints. A stream that leads to the journal gets priorities
/// (sd-daemon(3)). Thread-safe, except result().
class Output {
 public:
  explicit Output(bool json);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void verbose(bool on) noexcept { verbose_ = on; }
  /// From here on all lines go to standard error, each as a JSON object: --log-format json.
  void log_as_json(bool on) noexcept { log_as_json_ = on; }
  /// From here on only warnings and errors are said: --quiet.
  void quiet(bool on) noexcept { quiet_ = on; }
  /// From here on lines of text begin with the time, except in the journal, which has its own.
  void with_times() noexcept { with_times_ = true; }
  /// A challenge was presented: after an interruption it was cleaned up.
  void note_challenge() noexcept { had_challenges_ = true; }
  /// From here on warnings that repeat are said seldom. For what runs for days.
  void collapse_repeats();
  /// Says what was held back, if it is time. Returns when there is more; nullopt: nothing is held back.
  std::optional<std::chrono::steady_clock::time_point> say_repeats();
  /// What that topic is about is set right: what is held back of it is not said.
  void settled(const std::string& topic);

  /// One line.
  void say(std::string_view text) { line(LogEntry(LogLevel::info, std::string(text))); }
  void line(const LogEntry& entry);
  /// Text that was asked for, such as --help.
  void print(std::string_view text);
  /// False if standard output could not take something, as when the disk is full.
  bool written() const noexcept { return written_; }
  /// A line about a certificate. `event` is for programs.
  void say_of(const std::string& certificate, std::string_view event, std::string text,
              LogLevel level = LogLevel::info);
  /// What is being waited for: shown on a terminal, and for how long; nowhere else. `detail` may change meanwhile:
  /// "a.example: waiting for the CA to validate, 3 of 9 names (12 s)". Of several, the one that takes longest; an empty
  /// subject only if there is no other.
  void progress(const std::string& subject, std::string_view waits_for, std::string_view detail = {});
  void progress_ended(const std::string& subject);
  /// Of all subjects: somebody is asked for something.
  void progress_ended();
  bool shows_progress() const noexcept { return terminal_ && !json_ && !log_as_json_; }
  void warn(std::string_view text) { line(LogEntry(LogLevel::warning, std::string(text))); }
  /// A line of -v.
  void log(std::string_view text) { line(LogEntry(LogLevel::debug, std::string(text))); }

  /// The object for programs, to be filled in.
  JsonObject& result() noexcept { return result_; }

  /// Reports what went wrong; returns the exit code for it. `certificate`: its name, if it is about one.
  int fail(const Error& error, const std::string& certificate = {});
  int fail(const Failure& failure);
  /// For the object, why the command did not do all that it should, if nothing has failed yet.
  void reason(std::string_view code, std::string_view message);
  /// Says the last word: with `json`, the object.
  void finish(std::string_view command, int exit_code);

 private:
  struct Wait {
    Wait() = default;
    std::string waits_for, detail;
    std::chrono::steady_clock::time_point since;
  };
  void failure_line(LogLevel level, std::string text, const std::string& certificate);
  // With the mutex locked:
  void write_entry(const LogEntry& entry);
  void write_out(std::string_view line);
  void show_progress();
  void clear_progress();
  void update_progress(std::stop_token stop);

  const bool json_;
  const bool terminal_;
  const bool journal_out_, journal_err_;
  bool verbose_ = false;
  bool log_as_json_ = false;
  bool quiet_ = false, with_times_ = false;
  std::atomic<bool> had_challenges_ = false;
  bool written_ = true;
  JsonObject result_;
  std::recursive_mutex mutex_;
  std::optional<Repeats> repeats_;
  bool progress_shown_ = false;
  std::map<std::string, Wait> waits_;  ///< By subject.
  std::condition_variable_any stopped_;
  std::jthread ticker_;  ///< Only on a terminal.
};

/// As --json shows it.
JsonObject error_object(const Error& error);
/// The exit code for an error of the library.
int exit_code_of(const Error& error) noexcept;

/// A serial number as openssl and browsers show it.
std::string serial_text(const Bytes& serial);
/// "2 h 10 min"
std::string duration_text(std::chrono::seconds duration);
/// "2026-03-01T12:00:00Z"
std::string time_text(std::chrono::system_clock::time_point time);
/// "a.example, b.example and 98 more"
std::string names_text(const std::vector<Identifier>& identifiers);
/// Each as a text of its own.
std::vector<std::string> name_list(const std::vector<Identifier>& identifiers);

}  // namespace culmen::cli
