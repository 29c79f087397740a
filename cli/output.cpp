#include "output.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <system_error>

#include "command.hpp"
#include "hint.hpp"
#include "interrupt.hpp"

namespace culmen::cli {

namespace {

std::vector<JsonObject> json_problems(const std::vector<Problem>& problems);

void write_line(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fputc('\n', file);
  std::fflush(file);
}

/// Whether the stream is the one that systemd connected to the journal: systemd.exec(5), $JOURNAL_STREAM.
bool leads_to_journal(int file) {
  const char* const journal = getenv("JOURNAL_STREAM");
  struct stat status {};
  if (!journal || fstat(file, &status) != 0) return false;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == journal;
}

/// syslog(3)
char priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::error: return '3';
    case LogLevel::warning: return '4';
    case LogLevel::info: return '6';
    case LogLevel::debug: return '7';
  }
  return '6';
}

/// Without what moves the cursor or turns the direction of text, as paths may have it; lines stay lines.
std::string without_controls(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    out += printable(text.substr(0, end), std::string::npos);
    if (end == text.size()) return out;
    out += text[end];
    text.remove_prefix(end + 1);
  }
}

std::string as_json(const LogEntry& entry) {
  JsonObject object;
  object.set("time", time_text(std::chrono::system_clock::now()));
  object.set("level", to_string(entry.level));
  if (!entry.certificate.empty()) object.set("certificate", printable(entry.certificate));
  if (!entry.event.empty()) object.set("event", entry.event);
  object.set("message", entry.text);
  return object.serialized();
}

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

std::string advice_for(Errc code) {
  switch (code) {
    case Errc::tls_failed: return "For a private or test CA, give its root certificate with --server-ca FILE.";
    case Errc::external_account_required:
      return "This CA wants accounts bound to one at its web site: give --eab-kid and --eab-key from there.";
    case Errc::account_does_not_exist:
      return "Register the account key with this server: " + hint("account register --server URL --agree-tos");
    case Errc::user_action_required:
      return "The CA wants something done by hand, often agreeing to new terms of service; see its message.";
    case Errc::connection:
      return "The CA must reach port 80 of every name from the internet: check firewall, port forwarding and that the "
             "name's A and AAAA records lead to this machine.";
    case Errc::dns: return "Check the DNS records of the name; the CA looks them up from the internet.";
    case Errc::caa: return "The domain's CAA records forbid this CA; add one that allows it.";
    case Errc::rate_limited: return "Test with --server letsencrypt-staging (or your CA's test server) first.";
    case Errc::unsupported_key_type: return "See --help for the key types; ml-dsa needs OpenSSL 3.5 or later.";
    default: return {};
  }
}

/// What a web server that answers for culmen may have wrong.
std::string advice_for(const Problem& problem) {
  if (problem.detail.find("/.well-known/acme-challenge/") != std::string::npos) {
    if (problem.detail.find("403") != std::string::npos)
      return "The web server refused to serve the challenge file: see whether it may read the folder of --webroot.";
    if (problem.detail.find("404") != std::string::npos)
      return "The web server did not find the challenge file: see whether it serves the folder of --webroot for this "
             "name, on port 80.";
  }
  return advice_for(errc_from_type(problem.type));
}

JsonObject json_problem(const Problem& problem) {
  JsonObject out;
  out.set("type", printable(problem.type));
  out.set("detail", printable(problem.detail, 2000));
  if (problem.status != 0) out.set("status", problem.status);
  if (!problem.instance.empty()) out.set("instance", printable(problem.instance));
  if (problem.identifier) out.set("identifier", printable(problem.identifier->value));
  if (!problem.subproblems.empty()) out.set("subproblems", json_problems(problem.subproblems));
  return out;
}

std::vector<JsonObject> json_problems(const std::vector<Problem>& problems) {
  std::vector<JsonObject> out;
  for (const Problem& problem : problems) out.push_back(json_problem(problem));
  return out;
}

/// It refused, or its answer is not what ACME allows.
bool is_fault_of_ca(const Error& error) noexcept {
  constexpr int proxy_wants_password = 407;
  switch (error.code()) {
    case Errc::bad_response:
    case Errc::response_too_large: return true;
    case Errc::http_status: return error.http_status() != proxy_wants_password;
    // From storage, where the CA was not asked.
    case Errc::account_does_not_exist: return error.http_status() != 0;
    default: return error.kind() == ErrorKind::acme;
  }
}

}  // namespace

Output::Output(bool json)
    : json_(json),
      terminal_(isatty(STDOUT_FILENO) == 1),
      journal_out_(leads_to_journal(STDOUT_FILENO)),
      journal_err_(leads_to_journal(STDERR_FILENO)) {}

Output::~Output() = default;

// ---- Lines ----

void Output::collapse_repeats() {
  const std::lock_guard lock(mutex_);
  repeats_.emplace();
}

std::optional<std::chrono::steady_clock::time_point> Output::say_repeats() {
  const std::lock_guard lock(mutex_);
  if (!repeats_) return std::nullopt;
  for (const LogEntry& entry : repeats_->due(std::chrono::steady_clock::now())) write_entry(entry);
  return repeats_->next();
}

void Output::settled(const std::string& topic) {
  const std::lock_guard lock(mutex_);
  if (repeats_) repeats_->settled(topic);
}

void Output::line(const LogEntry& entry) {
  const std::lock_guard lock(mutex_);
  if (entry.level == LogLevel::debug && !verbose_) return;
  const bool may_repeat = entry.level == LogLevel::error || entry.level == LogLevel::warning || !entry.topic.empty();
  if (repeats_ && may_repeat && !repeats_->is_news(entry, std::chrono::steady_clock::now())) return;
  write_entry(entry);
}

void Output::say_of(const std::string& certificate, std::string_view event, std::string text, LogLevel level) {
  LogEntry entry(level, std::move(text));
  entry.certificate = certificate;
  entry.event = event;
  line(entry);
}

void Output::write_entry(const LogEntry& entry) {
  clear_progress();
  const bool is_quiet = entry.level == LogLevel::info && (json_ || quiet_);
  if (is_quiet && !verbose_) return;
  const bool to_out = entry.level == LogLevel::info && !json_ && !log_as_json_;
  const bool to_journal = to_out ? journal_out_ : journal_err_;
  std::string text;
  if (with_times_ && !to_journal && !log_as_json_) text += time_text(std::chrono::system_clock::now()) + " ";
  if (to_journal) text += std::string("<") + priority_of(entry.level) + ">";
  if (log_as_json_) {
    text += as_json(entry);
  } else {
    // The journal knows the program's name.
    const bool is_named = entry.level == LogLevel::error || entry.level == LogLevel::warning;
    if (is_named && !to_journal) text += "culmen: ";
    text += without_controls(entry.text);
  }
  if (to_out) {
    write_out(text + "\n");
  } else {
    write_line(stderr, text);
  }
  show_progress();
}

void Output::print(std::string_view text) {
  const std::lock_guard lock(mutex_);
  write_out(text);
}

void Output::write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    const std::string why = std::generic_category().message(errno);
    if (std::exchange(written_, false)) warn("standard output cannot be written to: " + why);
  }
}

// ---- Progress ----

void Output::progress(const std::string& subject, std::string_view waits_for, std::string_view detail) {
  if (!shows_progress()) return;
  const std::lock_guard lock(mutex_);
  Wait& wait = waits_[subject];
  if (wait.waits_for != waits_for) {
    wait.waits_for = waits_for;
    wait.since = std::chrono::steady_clock::now();
  }
  wait.detail = detail;
  if (!ticker_.joinable()) ticker_ = std::jthread([this](std::stop_token stop) { update_progress(std::move(stop)); });
  show_progress();
}

void Output::progress_ended(const std::string& subject) {
  const std::lock_guard lock(mutex_);
  if (waits_.erase(subject) == 0) return;
  clear_progress();
  show_progress();
}

void Output::progress_ended() {
  const std::lock_guard lock(mutex_);
  waits_.clear();
  clear_progress();
}

void Output::update_progress(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    stopped_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
    show_progress();
  }
}

void Output::show_progress() {
  if (waits_.empty()) return;
  const auto longest = std::min_element(waits_.begin(), waits_.end(), [](const auto& one, const auto& other) {
    return std::pair(one.first.empty(), one.second.since) < std::pair(other.first.empty(), other.second.since);
  });
  const auto& [subject, wait] = *longest;
  const auto waited = std::chrono::steady_clock::now() - wait.since;
  std::string text = (subject.empty() ? "" : printable(subject) + ": ") + wait.waits_for;
  if (!wait.detail.empty()) text += ", " + wait.detail;
  std::string end = " (" + duration_text(std::chrono::duration_cast<std::chrono::seconds>(waited)) + ")";
  const std::size_t others = waits_.size() - 1 - (subject.empty() ? 0 : waits_.count(std::string()));
  if (others > 0) end += " and " + std::to_string(others) + " more";
  // A line that wraps could not be cleared.
  const std::size_t room = terminal_columns() - 1;
  text = text.substr(0, room - std::min(room, end.size())) + end;
  std::printf("\r\033[K%s", text.c_str());
  std::fflush(stdout);
  progress_shown_ = true;
}

void Output::clear_progress() {
  if (!progress_shown_) return;
  std::fputs("\r\033[K", stdout);
  std::fflush(stdout);
  progress_shown_ = false;
}

// ---- Errors, and the end ----

JsonObject error_object(const Error& error) {
  JsonObject json;
  json.set("code", to_string(error.code()));
  json.set("kind", to_string(error.kind()));
  json.set("doing", printable(error.doing(), 2000));
  json.set("message", printable(error.what(), 4000));
  if (error.http_status() != 0) json.set("http_status", error.http_status());
  if (!error.problems().empty()) json.set("problems", json_problems(error.problems()));
  return json;
}

void Output::failure_line(LogLevel level, std::string text, const std::string& certificate) {
  say_of(certificate, level == LogLevel::error ? "failed" : "advice", std::move(text), level);
}

int Output::fail(const Error& error, const std::string& certificate) {
  const int exit_code = exit_code_of(error);
  JsonObject json = error_object(error);
  const auto error_line = [&](const std::string& text) { failure_line(LogLevel::error, text, certificate); };
  const auto advise = [&](const std::string& text) { failure_line(LogLevel::warning, text, certificate); };
  if (exit_code == exit_interrupted && interrupted()) {
    const std::string advice =
        std::string(had_challenges_ ? "Challenges were cleaned up. " : "") + "Run the same command again to go on.";
    json.set("advice", advice);
    result_.set("error", json);
    error_line("interrupted");
    advise(advice);
    return exit_code;
  }

  if (error.problems().size() > 1) {
    // One line would be long, and says things twice; the reader wants to see which name has which problem.
    error_line(printable(error.doing(), 2000) + ": the CA says:");
    for (const Problem& problem : error.problems()) {
      const std::string who = problem.identifier ? problem.identifier->value + ": " : std::string();
      error_line("  " + printable(who + problem.short_type() + ": " + problem.detail));
    }
  } else {
    error_line(printable(error.what(), 4000));
  }
  std::string advice = advice_for(error.code());
  // An order that failed: what its problems say tells more.
  for (const Problem& problem : error.problems()) {
    if (advice.empty()) advice = advice_for(problem);
  }
  // Not the CA's answer: what the manager found out about the account.
  if (error.code() == Errc::unauthorized && error.problems().empty() && advice.empty())
    advice = "Register a new account: " + hint("account register --server URL --agree-tos");
  if (const auto wait = error.retry_after()) {
    json.set("retry_after", std::int64_t{wait->count()});
    advise("The server asks to wait " + duration_text(*wait) + " before the next try.");
  } else if (exit_code == exit_temporary && advice.empty()) {
    advice = "This may be temporary: run the same command again in a few minutes.";
  }
  if (!advice.empty()) {
    json.set("advice", advice);
    advise(advice);
  }
  result_.set("error", json);
  return exit_code;
}

int Output::fail(const Failure& failure) {
  JsonObject json;
  json.set("code", failure.code);
  json.set("message", printable(failure.message, 4000));
  if (!failure.advice.empty()) json.set("advice", failure.advice);
  result_.set("error", json);
  failure_line(LogLevel::error, printable(failure.message, 4000), {});
  if (!failure.advice.empty()) failure_line(LogLevel::warning, printable(failure.advice, 4000), {});
  return failure.exit_code;
}

void Output::reason(std::string_view code, std::string_view message) {
  if (!result_.object("error").text("code").empty()) return;
  JsonObject json;
  json.set("code", code);
  json.set("message", message);
  result_.set("error", json);
}

void Output::finish(std::string_view command, int exit_code) {
  const std::lock_guard lock(mutex_);
  waits_.clear();
  clear_progress();
  if (!json_) return;
  JsonObject all;
  all.set("ok", exit_code == exit_ok);
  all.set("command", command);
  all.set("exit_code", exit_code);
  all.copy_all(result_);
  write_out(all.serialized() + "\n");
}

int exit_code_of(const Error& error) noexcept {
  if (error.code() == Errc::cancelled) return exit_interrupted;
  if (error.code() == Errc::invalid_argument) return exit_usage;
  if (is_worth_retrying(error)) return exit_temporary;
  return is_fault_of_ca(error) ? exit_refused : exit_failed;
}

std::string serial_text(const Bytes& serial) {
  constexpr char digits[] = "0123456789abcdef";
  // Without the octet that only keeps the number positive in DER.
  const std::size_t sign_octets = serial.size() > 1 && serial.front() == 0 ? 1 : 0;
  std::string text;
  for (std::size_t i = sign_octets; i < serial.size(); ++i) text += {digits[serial[i] >> 4], digits[serial[i] & 15]};
  return text;
}

std::string duration_text(std::chrono::seconds duration) {
  const long long total = duration.count();
  const auto two = [](long long big, const char* big_unit, long long small, const char* small_unit) {
    std::string out = std::to_string(big) + big_unit;
    if (small != 0) out += " " + std::to_string(small) + small_unit;
    return out;
  };
  if (total < 120) return std::to_string(total) + " s";
  if (total < 7200) return two(total / 60, " min", total % 60, " s");
  if (total < 172800) return two(total / 3600, " h", total % 3600 / 60, " min");
  return two(total / 86400, " days", total % 86400 / 3600, " h");
}

std::string time_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string names_text(const std::vector<Identifier>& identifiers) {
  constexpr std::size_t shown = 3;
  std::string out;
  for (std::size_t i = 0; i < identifiers.size() && i < shown; ++i) out += (i ? ", " : "") + identifiers[i].value;
  if (identifiers.size() > shown) out += " and " + std::to_string(identifiers.size() - shown) + " more";
  return out;
}

std::vector<std::string> name_list(const std::vector<Identifier>& identifiers) {
  std::vector<std::string> names;
  for (const Identifier& identifier : identifiers) names.push_back(identifier.value);
  return names;
}

}  // namespace culmen::cli
