// Lines of a log that repeat: said seldom, and the last one always.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace culmen::cli {

struct LogEntry;

/// The first line of a topic is news. Of those that follow within a minute only the last is said, at the end of the
/// minute, with their number. While the same text repeats, the pause doubles, up to an hour. For one thread.
class Repeats {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Repeats();
  ~Repeats();
  /// False: it is held back.
  bool is_news(const LogEntry& entry, Time now);
  /// The topic is set right: what is held back of it is not said any more, and the next line of it is another text.
  void settled(const std::string& topic);
  /// What was held back and is to be said now.
  std::vector<LogEntry> due(Time now);
  std::optional<Time> next() const;

 private:
  struct Topic;
  std::map<std::string, Topic> topics_;
};

}  // namespace culmen::cli
