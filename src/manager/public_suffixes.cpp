// The Public Suffix List (https://github.com/publicsuffix/list/wiki/Format).
#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "base/name.hpp"
#include "base/text.hpp"
#include "culmen/rate_ledger.hpp"

namespace culmen {

namespace {

/// The labels after the first; empty if there is one.
std::string_view parent_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  return dot == name.npos ? std::string_view() : name.substr(dot + 1);
}

/// The end of `name` that has one label more than `suffix`, which is its end; the suffix if there is no more.
std::string_view one_label_more(std::string_view name, std::string_view suffix) {
  if (name.size() <= suffix.size() + 1) return suffix;
  const std::string_view rest = name.substr(0, name.size() - suffix.size() - 1);
  return name.substr(rest.rfind('.') + 1);  // npos + 1 is 0
}

std::string_view last_label(std::string_view name) { return name.substr(name.rfind('.') + 1); }

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

}  // namespace

struct PublicSuffixes::Rules {
  enum class Kind { exact, wildcard, exception };
  /// By the name without "*." or "!"; one name can have an exact rule and one for what is below it.
  std::unordered_multimap<std::string, Kind> by_name;

  bool has(const std::string& name, Kind kind) const {
    const auto [begin, end] = by_name.equal_range(name);
    for (auto each = begin; each != end; ++each) {
      if (each->second == kind) return true;
    }
    return false;
  }

  /// The longest rule that matches; without one, the last label (the list's rule "*").
  std::string_view public_suffix(std::string_view name) const {
    for (std::string_view end = name; !end.empty(); end = parent_name(end)) {
      const std::string parent(parent_name(end));
      if (has(std::string(end), Kind::exception)) return parent_name(end);
      if (has(std::string(end), Kind::exact)) return end;
      if (!parent.empty() && has(parent, Kind::wildcard)) return end;
    }
    return last_label(name);
  }
};

PublicSuffixes::PublicSuffixes(std::string_view text) {
  auto rules = std::make_shared<Rules>();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_first_of(" \t\r"));
    if (line.empty() || line.starts_with("//")) continue;
    Rules::Kind kind = Rules::Kind::exact;
    if (line.starts_with("*.")) kind = Rules::Kind::wildcard;
    if (line.starts_with("!")) kind = Rules::Kind::exception;
    if (kind == Rules::Kind::wildcard) line.remove_prefix(2);
    if (kind == Rules::Kind::exception) line.remove_prefix(1);
    if (is_ascii(line)) {
      rules->by_name.emplace(base::to_lower(line), kind);
    } else if (const Result<std::string> name = base::canonical_dns_name(line)) {
      rules->by_name.emplace(*name, kind);
    }
  }
  if (!rules->by_name.empty()) rules_ = std::move(rules);
}

std::string PublicSuffixes::registered_domain(std::string_view name) const {
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (base::canonical_ip(name)) return std::string(name);
  const std::string_view suffix = rules_ ? rules_->public_suffix(name) : last_label(name);
  return std::string(one_label_more(name, suffix));
}

}  // namespace culmen
