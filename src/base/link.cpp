#include "base/link.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <system_error>

#include "base/name.hpp"
#include "base/text.hpp"

namespace culmen::base {
namespace {

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

/// RFC 9110 §5.6.2.
bool is_token_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

struct Parameter {
  std::string name;
  std::string value;
};

/// Appendix B.2 of RFC 8288, kinder: what it cannot read it skips.
class LinkScanner {
 public:
  explicit LinkScanner(std::string_view text) : rest_(text) {}

  bool at_end() const noexcept { return rest_.empty(); }

  /// `<target>`, after any commas; nullopt when something else comes.
  std::optional<std::string_view> target() {
    skip_while([](char c) { return is_blank(c) || c == ','; });
    if (!take('<')) return std::nullopt;
    const std::size_t end = rest_.find('>');
    if (end == rest_.npos) return std::nullopt;
    const std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return found;
  }

  /// `; name`, `; name=token` or `; name="quoted"`; nullopt at the end of the link and on anything else.
  std::optional<Parameter> parameter() {
    skip_while(is_blank);
    if (!take(';')) return std::nullopt;
    skip_while([](char c) { return is_blank(c) || c == ';'; });
    Parameter found;
    found.name = to_lower(token());
    skip_while(is_blank);
    if (!take('=')) return found;
    skip_while(is_blank);
    found.value = take('"') ? quoted() : std::string(unquoted());
    return found;
  }

  /// Skips to the comma that ends this link, or to the end. Commas in quotes or in `<>` do not count.
  void skip_link() {
    while (!rest_.empty() && rest_.front() != ',') {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') quoted();
      if (c == '<') rest_.remove_prefix(std::min(rest_.find('>'), rest_.size()));
    }
  }

 private:
  template <class Predicate>
  void skip_while(Predicate predicate) {
    while (!rest_.empty() && predicate(rest_.front())) rest_.remove_prefix(1);
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view token() {
    const std::string_view before = rest_;
    skip_while(is_token_char);
    return before.substr(0, before.size() - rest_.size());
  }
  /// Relation types that are URLs are seen without quotes as well, though they are no tokens.
  std::string_view unquoted() {
    const std::string_view before = rest_;
    skip_while([](char c) { return !is_blank(c) && c != ';' && c != ','; });
    return before.substr(0, before.size() - rest_.size());
  }
  std::string quoted() {
    std::string out;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') break;
      if (c == '\\' && !rest_.empty()) {
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      out += c;
    }
    return out;
  }

  std::string_view rest_;
};

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const auto end = static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_blank) - text.begin());
    if (end > 0) found.push_back(to_lower(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

/// 1 to 65535, or nothing at all.
bool is_port(std::string_view text) noexcept {
  if (text.empty()) return true;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0 && number <= 65535;
}

bool is_ipv4_loopback(std::string_view host) {
  const auto octets = ip_octets(host);
  return octets && octets->size() == 4 && octets->front() == 127;
}

}  // namespace

std::vector<Link> parse_link(std::string_view value, std::string_view base_url) {
  std::vector<Link> links;
  LinkScanner in(value);
  while (!in.at_end()) {
    const auto target = in.target();
    std::optional<std::string> relation;
    bool has_anchor = false;
    while (target) {
      auto parameter = in.parameter();
      if (!parameter) break;
      // RFC 8288 §3.3: "occurrences after the first MUST be ignored by parsers".
      if (parameter->name == "rel" && !relation) relation = std::move(parameter->value);
      // §3.2: the link is then from some other resource than the response's.
      if (parameter->name == "anchor") has_anchor = true;
    }
    in.skip_link();
    if (!target || !relation || has_anchor) continue;
    Link link;
    link.relations = words(*relation);
    auto resolved = resolve_url(base_url, *target);
    if (!resolved || link.relations.empty()) continue;
    link.target = std::move(*resolved);
    links.push_back(std::move(link));
  }
  return links;
}

std::optional<UrlParts> parse_http_url(std::string_view url) {
  const auto parsed = boost::urls::parse_uri(boost::core::string_view(url.data(), url.size()));
  // A user name in a URL is for deceiving readers; ACME has no use for one.
  if (!parsed || !parsed->has_authority() || parsed->has_userinfo()) return std::nullopt;
  UrlParts parts;
  parts.scheme = to_lower(parsed->scheme());
  if (parts.scheme != "http" && parts.scheme != "https") return std::nullopt;

  parts.host = to_lower(parsed->host_address());
  if (parts.host.empty() || parsed->host_type() == boost::urls::host_type::ipvfuture) return std::nullopt;
  const bool is_ipv6 = parsed->host_type() == boost::urls::host_type::ipv6;
  const std::string_view allowed = is_ipv6 ? "0123456789abcdef:." : "abcdefghijklmnopqrstuvwxyz0123456789-_.";
  if (parts.host.find_first_not_of(allowed) != std::string::npos) return std::nullopt;

  parts.port = std::string(parsed->port());
  if (!is_port(parts.port)) return std::nullopt;
  parts.path = std::string(std::string_view(parsed->encoded_path()));
  // Boost 1.81 takes "host:x/" for a host, an empty port and the path "x/".
  if (!parts.path.empty() && parts.path.front() != '/') return std::nullopt;
  if (parts.path.empty()) parts.path = "/";
  return parts;
}

std::optional<std::string> resolve_url(std::string_view base_url, std::string_view reference) {
  const auto base = boost::urls::parse_uri(boost::core::string_view(base_url.data(), base_url.size()));
  const auto target = boost::urls::parse_uri_reference(boost::core::string_view(reference.data(), reference.size()));
  if (!base || !target) return std::nullopt;
  // RFC 8555 §6.4 compares URLs octet for octet, so what is absolute stays as it came.
  if (target->has_scheme()) return std::string(reference);
  boost::urls::url resolved(*base);
  if (!resolved.resolve(*target)) return std::nullopt;
  return std::string(std::string_view(resolved.buffer()));
}

bool is_loopback_host(std::string_view host) {
  std::string name = to_lower(host);
  if (name.ends_with('.')) name.pop_back();
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  return is_ipv4_loopback(name) || canonical_ip(name) == "::1";
}

}  // namespace culmen::base
