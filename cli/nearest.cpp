#include "nearest.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

namespace culmen::cli {

namespace {

/// How many characters to insert, remove or replace; two neighbours that changed places count as `swap`.
std::size_t distance_of(std::string_view from, std::string_view to, std::size_t swap) {
  std::vector<std::size_t> before, last(to.size() + 1), row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      row[j + 1] = std::min({row[j] + 1, last[j + 1] + 1, last[j] + (from[i] == to[j] ? 0 : 1)});
      const bool swapped = i > 0 && j > 0 && from[i] == to[j - 1] && from[i - 1] == to[j];
      if (swapped) row[j + 1] = std::min(row[j + 1], before[j - 1] + swap);
    }
  }
  return row.back();
}

std::string bare(std::string_view text) {
  std::string letters;
  for (const unsigned char c : text) {
    if (c != '-' && c != ':' && c != '_') letters += static_cast<char>(std::tolower(c));
  }
  return letters;
}

}  // namespace

bool differs_by_one(std::string_view one, std::string_view other) { return distance_of(one, other, 2) == 1; }

std::string written_alike(std::string_view text, const std::vector<std::string>& known) {
  const auto is_it = [text = bare(text)](const std::string& word) { return bare(word) == text; };
  const auto found = std::find_if(known.begin(), known.end(), is_it);
  return found == known.end() ? std::string() : *found;
}

std::string nearest(std::string_view text, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(text.size() / 3, 1) + 1;
  for (const std::string& word : known) {
    const std::size_t distance = distance_of(text, word, 1);
    if (distance < least) {
      least = distance;
      best = word;
    }
  }
  return best;
}

}  // namespace culmen::cli
