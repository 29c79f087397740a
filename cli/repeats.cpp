#include "repeats.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "output.hpp"

namespace culmen::cli {

namespace {
constexpr std::chrono::seconds first_pause(60), longest_pause(3600);
}  // namespace

struct Repeats::Topic {
  Topic() = default;
  std::string said;              ///< The last text.
  std::optional<LogEntry> held;  ///< The last one since then.
  unsigned count = 0;            ///< How many are held back.
  std::chrono::seconds pause = first_pause;
  Time until;  ///< The end of the pause.
};

Repeats::Repeats() = default;
Repeats::~Repeats() = default;

bool Repeats::is_news(const LogEntry& entry, Time now) {
  const auto [at, is_new] = topics_.try_emplace(entry.topic.empty() ? entry.text : entry.topic);
  Topic& topic = at->second;
  const bool same = entry.text == topic.said;
  if (is_new || (now >= topic.until && !topic.held && !same)) {
    topic.said = entry.text;
    topic.pause = first_pause;
    topic.until = now + topic.pause;
    return true;
  }
  if (now >= topic.until && !topic.held) {  // the same again, a little later
    topic.pause = std::min(topic.pause * 2, longest_pause);
    topic.until = now + topic.pause;
  }
  topic.held = entry;
  ++topic.count;
  if (!same) topic.until = std::min(topic.until, now + first_pause);
  return false;
}

void Repeats::settled(const std::string& name) {
  const auto found = topics_.find(name);
  if (found == topics_.end()) return;
  Topic& topic = found->second;
  topic.said.clear();
  topic.held.reset();
  topic.count = 0;
}

std::vector<LogEntry> Repeats::due(Time now) {
  std::vector<LogEntry> entries;
  for (auto at = topics_.begin(); at != topics_.end();) {
    Topic& topic = at->second;
    if (now < topic.until) {
      ++at;
      continue;
    }
    if (!topic.held) {
      at = now < topic.until + topic.pause ? std::next(at) : topics_.erase(at);
      continue;
    }
    const bool same = topic.held->text == topic.said;
    topic.said = topic.held->text;
    topic.pause = same ? std::min(topic.pause * 2, longest_pause) : first_pause;
    topic.until = now + topic.pause;
    entries.push_back(*std::exchange(topic.held, std::nullopt));
    if (topic.count > 1) entries.back().text += " (said " + std::to_string(topic.count) + " times since the last line)";
    topic.count = 0;
    ++at;
  }
  return entries;
}

std::optional<Repeats::Time> Repeats::next() const {
  std::optional<Time> next;
  for (const auto& [name, topic] : topics_) {
    if (topic.held && (!next || topic.until < *next)) next = topic.until;
  }
  return next;
}

}  // namespace culmen::cli
