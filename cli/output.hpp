// What the program says: lines for people, or one JSON object for programs.
#pragma once

#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/error.hpp"
#include "culmen/identifier.hpp"
#include "json_object.hpp"

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

/// Lines for people go to standard output, errors and the log to standard error. With `json`, standard output carries
/// nothing but the one object that finish() prints.
class Output {
 public:
  explicit Output(bool json);

  void verbose(bool on) noexcept { verbose_ = on; }

  /// One line.
  void say(std::string_view text);
  /// Text that was asked for, such as --help.
  void print(std::string_view text);
  /// False if standard output could not take something, as when the disk is full.
  bool written() const noexcept { return written_; }
  /// A line that the next one replaces, on a terminal; nothing elsewhere.
  void progress(std::string_view text);
  bool shows_progress() const noexcept { return terminal_ && !json_; }
  void warn(std::string_view text);
  /// A line of -v.
  void log(std::string_view text);

  /// The object for programs, to be filled in.
  JsonObject& result() noexcept { return result_; }

  /// Reports what went wrong; returns the exit code for it.
  int fail(const Error& error);
  int fail(const Failure& failure);
  /// Says the last word: with `json`, the object.
  void finish(std::string_view command, int exit_code);

 private:
  void clear_progress();
  void write_out(std::string_view text);
  bool json_;
  bool terminal_;
  bool verbose_ = false;
  bool progress_shown_ = false;
  bool written_ = true;
  JsonObject result_;
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
