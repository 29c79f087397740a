#include "output.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <system_error>

#include "command.hpp"

namespace culmen::cli {

namespace {

std::vector<JsonObject> json_problems(const std::vector<Problem>& problems);

void write_line(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fputc('\n', file);
  std::fflush(file);
}

std::string advice_for(Errc code) {
  switch (code) {
    case Errc::tls_failed: return "For a private or test CA, give its root certificate with --server-ca FILE.";
    case Errc::external_account_required:
      return "This CA wants accounts bound to one at its web site: give --eab-kid and --eab-key from there.";
    case Errc::account_does_not_exist:
      return "Register the account key with this server: culmen account register --server URL --agree-tos";
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

}  // namespace

Output::Output(bool json) : json_(json), terminal_(isatty(STDOUT_FILENO) == 1) {}

void Output::say(std::string_view text) {
  if (json_) {
    log(text);
    return;
  }
  clear_progress();
  write_out(std::string(text) + "\n");
}

void Output::print(std::string_view text) { write_out(text); }

void Output::write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    if (written_) warn("standard output cannot be written to: " + std::generic_category().message(errno));
    written_ = false;
  }
}

void Output::progress(std::string_view text) {
  if (!shows_progress()) return;
  std::printf("\r\033[K%.*s", static_cast<int>(text.size()), text.data());
  std::fflush(stdout);
  progress_shown_ = true;
}

void Output::warn(std::string_view text) {
  clear_progress();
  write_line(stderr, "culmen: " + std::string(text));
}

void Output::log(std::string_view text) {
  if (!verbose_) return;
  clear_progress();
  write_line(stderr, text);
}

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

int Output::fail(const Error& error) {
  const int exit_code = exit_code_of(error);
  JsonObject json = error_object(error);

  if (error.problems().size() > 1) {
    // One line would be long, and says things twice; the reader wants to see which name has which problem.
    warn(printable(error.doing(), 2000) + ": the CA says:");
    for (const Problem& problem : error.problems()) {
      const std::string who = problem.identifier ? problem.identifier->value + ": " : std::string();
      warn("  " + printable(who + problem.short_type() + ": " + problem.detail));
    }
  } else {
    warn(printable(error.what(), 4000));
  }
  std::string advice = advice_for(error.code());
  // An order that failed: what its problems say tells more.
  for (const Problem& problem : error.problems()) {
    if (advice.empty()) advice = advice_for(errc_from_type(problem.type));
  }
  if (const auto wait = error.retry_after()) {
    json.set("retry_after", std::int64_t{wait->count()});
    warn("The server asks to wait " + duration_text(*wait) + " before the next try.");
  } else if (exit_code == exit_temporary && advice.empty()) {
    advice = "This may be temporary: run the same command again in a few minutes.";
  }
  if (exit_code == exit_interrupted) {
    advice = "Challenges were cleaned up. Run the same command again to go on.";
  }
  if (!advice.empty()) {
    json.set("advice", advice);
    warn(advice);
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
  warn(printable(failure.message, 4000));
  if (!failure.advice.empty()) warn(failure.advice);
  return failure.exit_code;
}

void Output::finish(std::string_view command, int exit_code) {
  clear_progress();
  if (!json_) return;
  JsonObject all;
  all.set("ok", exit_code == exit_ok);
  all.set("command", command);
  all.set("exit_code", exit_code);
  all.copy_all(result_);
  write_out(all.serialized() + "\n");
}

void Output::clear_progress() {
  if (!progress_shown_) return;
  std::fputs("\r\033[K", stdout);
  std::fflush(stdout);
  progress_shown_ = false;
}

int exit_code_of(const Error& error) noexcept {
  if (error.code() == Errc::cancelled) return exit_interrupted;
  if (error.code() == Errc::invalid_argument) return exit_usage;
  if (is_worth_retrying(error)) return exit_temporary;
  // It is not here; the CA was not asked.
  if (error.code() == Errc::account_does_not_exist && error.http_status() == 0) return exit_failed;
  return error.kind() == ErrorKind::acme ? exit_refused : exit_failed;
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
