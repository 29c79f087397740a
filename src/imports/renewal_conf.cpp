#include "imports/renewal_conf.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"
#include "culmen/error.hpp"

namespace culmen::imports {

namespace {

constexpr std::string_view section_of_interest = "renewalparams/";

using base::trimmed;

/// Takes the quoted text that `rest` begins with; nullopt when the quotes do not end.
std::optional<std::string> take_quoted(std::string_view& rest) {
  const std::string_view triple = rest.substr(0, 3);
  const bool is_triple = triple == "\"\"\"" || triple == "'''";
  const std::string_view quotes = is_triple ? triple : rest.substr(0, 1);
  const auto end = rest.find(quotes, quotes.size());
  if (end == std::string_view::npos) return std::nullopt;
  std::string text(rest.substr(quotes.size(), end - quotes.size()));
  rest = trimmed(rest.substr(end + quotes.size()));
  return text;
}

/// "a, 'b c', d  # comment"; nullopt when it is not of that form.
std::optional<std::vector<std::string>> values_of(std::string_view rest) {
  std::vector<std::string> values;
  rest = trimmed(rest);
  while (!rest.empty() && rest.front() != '#') {
    if (rest.front() == '"' || rest.front() == '\'') {
      auto text = take_quoted(rest);
      if (!text) return std::nullopt;
      values.push_back(std::move(*text));
    } else if (rest.front() != ',') {
      const auto end = std::min(rest.find_first_of(",#"), rest.size());
      values.emplace_back(trimmed(rest.substr(0, end)));
      rest.remove_prefix(end);
    } else if (values.empty()) {  // "," alone is an empty list
      rest = trimmed(rest.substr(1));
      continue;
    }
    if (rest.empty() || rest.front() == '#') break;
    if (rest.front() != ',') return std::nullopt;
    rest = trimmed(rest.substr(1));
  }
  return values;
}

}  // namespace

RenewalConf RenewalConf::parse(std::string_view text, const std::filesystem::path& path) {
  RenewalConf conf;
  std::vector<std::string> sections;
  int number = 0;
  const auto refuse = [&](const std::string& why) {
    return Error(Errc::io_failed, "reading " + path.string(), "line " + std::to_string(number) + " " + why);
  };
  for (std::size_t at = 0; at < text.size();) {
    ++number;
    std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trimmed(text.substr(at, end - at));
    at = end + 1;
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      const std::size_t depth = line.find_first_not_of('[');
      const std::size_t close = line.find(']');
      if (depth == std::string_view::npos || close == std::string_view::npos || depth > sections.size() + 1) {
        throw refuse("is not a section");
      }
      sections.resize(depth - 1);
      sections.emplace_back(trimmed(line.substr(depth, close - depth)));
      continue;
    }
    const auto equals = line.find('=');
    if (equals == 0 || equals == std::string_view::npos) throw refuse("is neither a section nor \"name = value\"");
    std::string_view name = trimmed(line.substr(0, equals));
    if (name.size() > 1 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front()) {
      name = name.substr(1, name.size() - 2);
    }
    std::string_view value = trimmed(line.substr(equals + 1));
    if (value.starts_with("\"\"\"") || value.starts_with("'''")) {  // may go on for several lines
      const auto start = static_cast<std::size_t>(value.data() - text.data());
      const auto close = text.find(value.substr(0, 3), start + 3);
      if (close == std::string_view::npos) throw refuse("begins a quotation that does not end");
      number += static_cast<int>(std::count(text.begin() + static_cast<std::ptrdiff_t>(start),
                                            text.begin() + static_cast<std::ptrdiff_t>(close), '\n'));
      end = std::min(text.find('\n', close), text.size());
      value = text.substr(start, end - start);
      at = end + 1;
    }
    auto values = values_of(value);
    if (!values) throw refuse("has quotes that do not end, or something after them");
    std::string key;
    for (const std::string& section : sections) key += section + "/";
    conf.members_[key + std::string(name)] = std::move(*values);
  }
  return conf;
}

std::string RenewalConf::text(const std::string& name) const {
  const std::vector<std::string> values = texts(name);
  return values.empty() ? std::string() : values.front();
}

std::vector<std::string> RenewalConf::texts(const std::string& name) const {
  const auto found = members_.find(std::string(section_of_interest) + name);
  if (found == members_.end()) return {};
  if (found->second.size() == 1 && found->second.front() == "None") return {};
  return found->second;
}

bool RenewalConf::flag(const std::string& name) const { return text(name) == "True" || text(name) == "true"; }

std::vector<std::string> RenewalConf::texts_below(const std::string& section) const {
  const std::string prefix = std::string(section_of_interest) + section + "/";
  std::vector<std::string> out;
  for (const auto& [key, values] : members_) {
    if (key.starts_with(prefix)) out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

std::string RenewalConf::top_text(const std::string& name) const {
  const auto found = members_.find(name);
  return found == members_.end() || found->second.empty() ? std::string() : found->second.front();
}

}  // namespace culmen::imports
