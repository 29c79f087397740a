#include "secrets.hpp"

#include <algorithm>
#include <array>

#include "culmen/error.hpp"

namespace culmen::cli {

namespace {

constexpr std::string_view hidden = "***";
constexpr std::string_view letters_and_digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Parameters of libpq whose values are shown: PostgreSQL manual, "Parameter Key Words".
constexpr std::array<std::string_view, 20> shown_parameters = {"application_name",
                                                               "connect_timeout",
                                                               "dbname",
                                                               "gssencmode",
                                                               "host",
                                                               "hostaddr",
                                                               "keepalives",
                                                               "passfile",
                                                               "port",
                                                               "service",
                                                               "sslcert",
                                                               "sslcrl",
                                                               "sslkey",
                                                               "sslmode",
                                                               "sslrootcert",
                                                               "target_session_attrs",
                                                               "tcp_user_timeout",
                                                               "user",
                                                               "channel_binding",
                                                               "sslsni"};

bool is_made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [others](char c) {
    return letters_and_digits.find(c) != std::string_view::npos || others.find(c) != std::string_view::npos;
  });
}

/// Takes what comes before the first of `ends`; it stays at the front of `rest`.
std::string_view taken_until(std::string_view& rest, std::string_view ends) {
  const std::string_view taken = rest.substr(0, rest.find_first_of(ends));
  rest.remove_prefix(taken.size());
  return taken;
}

/// A word before "://", or before the ":" of "file:"; with it.
std::string_view scheme_of(std::string_view url) {
  const std::size_t end = url.find("://");
  const bool is_scheme = end != std::string_view::npos && end > 0 && is_made_of(url.substr(0, end), "+.-");
  return is_scheme ? url.substr(0, end + 3) : std::string_view();
}

struct ShownUrl {
  std::string text;
  bool is_well_formed = false, has_password = false;
};

/// "host:port", several with commas; IPv6 addresses in brackets.
bool is_host_list(std::string_view hosts) {
  while (true) {
    std::string_view host = hosts.substr(0, hosts.find(','));
    hosts.remove_prefix(host.size());
    const bool has_brackets = host.starts_with('[');
    if (has_brackets && host.find(']') == std::string_view::npos) return false;
    const std::size_t end = has_brackets ? host.find(']') + 1 : std::min(host.find(':'), host.size());
    if (!is_made_of(host.substr(0, end), has_brackets ? "[]:.%" : ".-_%")) return false;
    const std::string_view port = host.substr(end);
    if (!port.empty() && (port.front() != ':' || port.find_first_not_of("0123456789", 1) != std::string_view::npos))
      return false;
    if (hosts.empty()) return true;
    hosts.remove_prefix(1);
  }
}

/// A URL of libpq, read as libpq reads it; what libpq refuses, or could have been meant otherwise, is not well-formed.
ShownUrl shown_postgres(std::string_view scheme, std::string_view rest) {
  ShownUrl doubtful;
  doubtful.text = std::string(scheme) + std::string(hidden);
  ShownUrl shown;
  shown.text = scheme;
  if (const std::size_t at = rest.find('@'); at < rest.find('/')) {
    const std::string_view credentials = rest.substr(0, at);
    const std::string_view user = credentials.substr(0, credentials.find(':'));
    if (!is_made_of(user, "._~%-+")) return doubtful;
    shown.has_password = user.size() + 1 < credentials.size();
    shown.text += std::string(user) + (user.size() < credentials.size() ? ":" + std::string(hidden) : "") + "@";
    rest.remove_prefix(at + 1);
  }
  const std::string_view hosts = taken_until(rest, "/?");
  const std::string_view database = taken_until(rest, "?");
  if (!is_host_list(hosts) || !is_made_of(database, "/._~%-+")) return doubtful;
  shown.text += std::string(hosts) + std::string(database);
  for (char separator = '?'; !rest.empty(); separator = '&') {
    rest.remove_prefix(1);
    const std::string_view parameter = taken_until(rest, "&");
    const std::string_view name = parameter.substr(0, parameter.find('='));
    if (name.size() == parameter.size() || name.empty() || !is_made_of(name, "_")) return doubtful;
    std::string_view value = parameter.substr(name.size() + 1);
    const bool is_shown = std::find(shown_parameters.begin(), shown_parameters.end(), name) != shown_parameters.end();
    // A password that was not encoded may be in it, and the host behind an "@".
    if (is_shown && value.find_first_of(shown.has_password ? "@;= " : ";= ") != std::string_view::npos) return doubtful;
    if (!is_shown) shown.has_password = true;
    if (!is_shown) value = hidden;
    shown.text += separator + std::string(name) + "=" + std::string(value);
  }
  shown.is_well_formed = true;
  return shown;
}

ShownUrl seen(std::string_view url) {
  const std::string_view scheme = scheme_of(url);
  if (scheme == "postgresql://" || scheme == "postgres://") return shown_postgres(scheme, url.substr(scheme.size()));
  ShownUrl shown;
  shown.is_well_formed = url.starts_with("file:") && (!url.starts_with("file://") || url.starts_with("file:///"));
  // A folder without "file:" is what many give.
  const bool is_path = scheme.empty() && url.find_first_of("=@:") == std::string_view::npos;
  shown.text = shown.is_well_formed || is_path ? std::string(url) : std::string(scheme) + std::string(hidden);
  return shown;
}

}  // namespace

std::string shown_url(std::string_view url) { return seen(url).text; }

bool has_password(std::string_view url) {
  const ShownUrl shown = seen(url);
  return shown.has_password || (!shown.is_well_formed && url.starts_with("postgres"));
}

std::string shown_server(std::string_view url) {
  const std::string_view scheme = scheme_of(url);
  std::string_view rest = url.substr(scheme.size());
  const bool is_name = scheme.empty() && is_made_of(rest, "._-");
  if (is_name) return std::string(url);
  const std::size_t at = rest.rfind('@');
  const bool has_credentials = at != std::string_view::npos;
  if (has_credentials) rest.remove_prefix(at + 1);
  std::string_view after = rest;
  if (!is_host_list(taken_until(after, "/?#"))) return std::string(scheme) + std::string(hidden);
  return std::string(scheme) + (has_credentials ? std::string(hidden) + "@" : std::string()) + std::string(rest);
}

std::string shown_word(std::string_view word) {
  const bool is_option = word.starts_with('-');
  if (is_option) {
    const std::size_t dashes = word.starts_with("--") ? 2 : 1;
    // What follows one dash and a letter may be a value.
    const std::size_t end = dashes == 1 ? 2 : word.find('=');
    return end >= word.size() ? std::string(word) : std::string(word.substr(0, end)) + "…";
  }
  if (!scheme_of(word).empty()) return shown_server(word);
  const std::size_t end = word.find_first_of("=@");
  return end == std::string_view::npos ? std::string(word) : std::string(hidden);
}

}  // namespace culmen::cli
