#include "storage/change_log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <ctime>

#include "storage/system_error.hpp"

namespace culmen::storage {

namespace {

constexpr const char* log_name = ".changes";
constexpr off_t largest_log = 1 << 20;

/// The log in two: its first line, which is another one each time the log begins anew, and the rest.
struct LogText {
  std::string epoch;
  std::string lines;
};

LogText log_text(const Folder& folder) {
  const std::optional<FileRead> file = folder.read(log_name);
  LogText log;
  if (!file) return log;
  const std::string& text = file->contents;
  const std::size_t first = text.find('\n'), last = text.rfind('\n');
  if (first == std::string::npos) return log;
  log.epoch = text.substr(0, first);
  log.lines = text.substr(first + 1, last - first);  // a line that is being added has no end yet
  return log;
}

std::string cursor_of(const LogText& log) { return log.epoch + "." + std::to_string(log.lines.size()); }

std::string new_epoch() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return std::to_string(time.tv_sec) + "-" + std::to_string(time.tv_nsec) + "-" + std::to_string(::getpid()) + "\n";
}

}  // namespace

ChangeLog::ChangeLog(const Folder& folder) : path_(folder.path() / log_name), file_(folder.open_or_make(log_name)) {}

void ChangeLog::add(const std::string& lines) const {
  struct stat found {};
  const std::string doing = "adding to " + path_.string();
  if (::fstat(file_.number(), &found) != 0) throw_errno(doing, "looking at it");
  if (found.st_size > largest_log) {
    if (::ftruncate(file_.number(), 0) != 0) throw_errno(doing, "beginning it anew");
    found.st_size = 0;
  }
  const std::string text = (found.st_size == 0 ? new_epoch() : std::string()) + lines + "\n";
  if (::pwrite(file_.number(), text.data(), text.size(), found.st_size) == static_cast<ssize_t>(text.size())) return;
  // No space is left, for one: an empty log says as well that something has changed.
  if (::ftruncate(file_.number(), 0) != 0) throw_errno(doing, "changing it");
}

std::string ChangeLog::look(const Folder& folder) {
  const std::optional<struct stat> found = folder.status(log_name);
  if (!found) return "0";
  // The size, because two changes may have the same time.
  return std::to_string(found->st_size) + "." + std::to_string(found->st_mtim.tv_sec) + "." +
         std::to_string(found->st_mtim.tv_nsec);
}

std::string ChangeLog::cursor(const Folder& folder) { return cursor_of(log_text(folder)); }

std::optional<std::string> ChangeLog::changed_since(const Folder& folder, const std::string& cursor,
                                                    const std::string& prefix) {
  const LogText log = log_text(folder);
  const std::string present = cursor_of(log);
  if (present == cursor) return std::nullopt;
  const std::size_t dot = cursor.rfind('.');
  std::size_t begin = 0;
  const char* const end = cursor.data() + cursor.size();
  if (dot == std::string::npos || cursor.substr(0, dot) != log.epoch ||
      std::from_chars(cursor.data() + dot + 1, end, begin).ptr != end || begin > log.lines.size()) {
    return present;  // of a log that began before
  }
  for (std::string_view rest = std::string_view(log.lines).substr(begin); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.empty() || line.starts_with(prefix)) return present;
    rest.remove_prefix(line.size() + 1);
  }
  return std::nullopt;
}

}  // namespace culmen::storage
