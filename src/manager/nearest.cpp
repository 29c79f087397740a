#include "manager/nearest.hpp"

#include <algorithm>
#include <limits>

#include "base/text.hpp"

namespace culmen::manager {

namespace {

/// Optimal string alignment distance.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above;
    above = row;
  }
  return above[b.size()];
}

}  // namespace

std::string suggestion(std::string_view text, const std::vector<std::string>& known) {
  constexpr std::size_t longest = 64;  // no known name is longer
  const std::string wanted = base::to_lower(text.substr(0, longest + 1));
  std::string nearest, all;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const std::string& name : known) {
    all += (all.empty() ? "" : ", ") + name;
    const std::size_t edits = edits_between(wanted, base::to_lower(name));
    if (edits >= least || edits * 3 > std::max(wanted.size(), name.size())) continue;
    least = edits;
    nearest = name;
  }
  return nearest.empty() ? "; use one of: " + all : "; did you mean \"" + nearest + "\"?";
}

}  // namespace culmen::manager
