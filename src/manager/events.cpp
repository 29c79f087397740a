#include "base/time.hpp"
#include "culmen/error.hpp"
#include "manager/reporter.hpp"

namespace culmen {

std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::error: return "error";
    case LogLevel::warning: return "warning";
    case LogLevel::info: return "info";
    case LogLevel::debug: return "debug";
  }
  return "unknown";
}

std::string_view to_string(ManagerEvent::Kind kind) noexcept {
  using Kind = ManagerEvent::Kind;
  switch (kind) {
    case Kind::loaded: return "loaded";
    case Kind::renewal_info_changed: return "renewal_info_changed";
    case Kind::issuing: return "issuing";
    case Kind::issued: return "issued";
    case Kind::installed: return "installed";
    case Kind::failed: return "failed";
    case Kind::late: return "late";
    case Kind::expired: return "expired";
    case Kind::ca_closed: return "ca_closed";
    case Kind::ca_open: return "ca_open";
    case Kind::lease_lost: return "lease_lost";
    case Kind::storage_failed: return "storage_failed";
    case Kind::storage_recovered: return "storage_recovered";
    case Kind::warning: return "warning";
  }
  return "unknown";
}

namespace {
std::string_view event_in_words(ManagerEvent::Kind kind) {
  using Kind = ManagerEvent::Kind;
  switch (kind) {
    case Kind::loaded: return "loaded from storage";
    case Kind::renewal_info_changed: return "the CA suggests another time for the renewal";
    case Kind::issuing: return "ordering a certificate";
    case Kind::issued: return "a new certificate is stored";
    case Kind::installed: return "the certificate is installed";
    case Kind::failed: return "failed";
    case Kind::late: return "the renewal is late";
    case Kind::expired: return "the certificate has expired";
    case Kind::ca_closed: return "the CA does not work, and is left alone for a while";
    case Kind::ca_open: return "the CA works again";
    case Kind::lease_lost: return "another process has taken over";
    case Kind::storage_failed: return "storage does not work";
    case Kind::storage_recovered: return "storage works again";
    case Kind::warning: return "warning";
  }
  return "unknown";
}
}  // namespace

std::string to_text(const ManagerEvent& event) {
  std::string text;
  if (!event.id.empty()) text += printable(event.id, 200) + ": ";
  text += event_in_words(event.kind);
  if (!event.detail.empty()) text += ": " + printable(event.detail, 2000);
  std::string more;
  const auto add = [&more](const std::string& part) { more += (more.empty() ? "" : "; ") + part; };
  if (!event.ca.empty()) add("CA " + printable(event.ca, 200));
  if (event.failures > 1) add(std::to_string(event.failures) + " failures in a row");
  if (event.not_after) add("valid until " + base::format_rfc3339(*event.not_after));
  if (event.next) add("next look at " + base::format_rfc3339(*event.next));
  return more.empty() ? text : text + " (" + more + ")";
}

LogLevel level_of(ManagerEvent::Kind kind) noexcept {
  using Kind = ManagerEvent::Kind;
  switch (kind) {
    case Kind::expired:
    case Kind::storage_failed: return LogLevel::error;
    case Kind::failed:
    case Kind::late:
    case Kind::ca_closed:
    case Kind::lease_lost:
    case Kind::warning: return LogLevel::warning;
    case Kind::loaded:
    case Kind::renewal_info_changed:
    case Kind::issuing:
    case Kind::issued:
    case Kind::installed:
    case Kind::ca_open:
    case Kind::storage_recovered: return LogLevel::info;
  }
  return LogLevel::info;
}

namespace manager {

ManagerEvent make_event(ManagerEvent::Kind kind, planner::Time at, std::string detail) {
  ManagerEvent event;
  event.kind = kind;
  event.at = at;
  event.detail = std::move(detail);
  return event;
}

void Reporter::say(const ManagerEvent& event) const noexcept {
  try {
    if (on_event_) on_event_(event);
  } catch (...) {
    // Not the manager's business.
  }
  if (!log_) return;
  try {
    log_(level_of(event.kind), to_text(event));
  } catch (...) {
    // The same.
  }
}

void Reporter::log(LogLevel level, std::string_view text) const noexcept {
  try {
    if (log_) log_(level, text);
  } catch (...) {
    // The same.
  }
}

}  // namespace manager
}  // namespace culmen
