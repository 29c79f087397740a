// culmen install: a systemd timer that runs culmen renew.
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "files.hpp"
#include "host.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view marker = "# Written by: culmen install timer";
constexpr std::string_view unit_name = "culmen-renew";

struct TimerFlags {
  TimerFlags() = default;
  std::string dir;
  std::string systemd_dir = "/etc/systemd/system";
  std::string on_calendar = "*-*-* 00,12:00:00";
  std::string user;
  std::vector<std::string> writable;
  bool print_only = false;
  bool force = false;
  bool json = false;
};

struct Unit {
  fs::path path;
  std::string text;
};

/// What renewals write to beside the state folder: web roots, and where --out, --cert-key and --account-key are.
std::set<fs::path> places_of_certificates(const fs::path& state, Output& output);
std::string service_text(const TimerFlags& flags, const fs::path& state, const std::string& user, Output& output);
std::string timer_text(const TimerFlags& flags);
void check_may_be_written(const Unit& unit, bool force);
bool write_unit(const Unit& unit);

int run_timer(const TimerFlags& flags, Output& output) {
  std::string user = flags.user;
  if (user.empty() && geteuid() != 0) {
    if (const passwd* self = getpwuid(geteuid())) user = self->pw_name;
  }
  const fs::path folder = fs::absolute(flags.systemd_dir).lexically_normal();
  const fs::path state = state_folder(flags.dir);
  const Unit service{folder / (std::string(unit_name) + ".service"), service_text(flags, state, user, output)};
  const Unit timer{folder / (std::string(unit_name) + ".timer"), timer_text(flags)};

  JsonObject& json = output.result();
  json.set("service", service.path.string());
  json.set("timer", timer.path.string());
  json.set("state", state.string());
  if (flags.print_only) {
    json.set("changed", false);
    json.set("service_text", service.text);
    json.set("timer_text", timer.text);
    output.say("# " + service.path.string() + "\n" + service.text + "\n# " + timer.path.string() + "\n" + timer.text);
    return exit_ok;
  }
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) {
    throw Failure(exit_failed, "not_found", "there is no folder " + folder.string(),
                  "Say where systemd looks for units with --systemd-dir, or see the units with --print-only.");
  }
  for (const Unit& unit : {service, timer}) check_may_be_written(unit, flags.force);
  bool changed = false;
  for (const Unit& unit : {service, timer}) {
    if (!write_unit(unit)) continue;
    changed = true;
    output.say("Wrote " + unit.path.string());
  }
  json.set("changed", changed);
  if (!changed) output.say("Nothing to do: both units are there already, as they should be");
  output.say("Next, as root:\n  systemctl daemon-reload\n  systemctl enable --now " + std::string(unit_name) +
             ".timer\nTry it with: systemctl start " + std::string(unit_name) + ".service");
  return exit_ok;
}

// systemd.syntax(7): quotes and backslashes are escaped in a quoted word, "%" begins a specifier (systemd.unit(5)).
std::string unit_word(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      throw Failure(exit_usage, "invalid_argument",
                    "\"" + printable(text) + "\" has a control character in it, which no systemd unit can hold");
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
    if (c == '%') out += '%';
  }
  return out + "\"";
}

// systemd.service(5): "$" begins a variable in the arguments of a command, but not in its path.
std::string command_argument(const std::string& text) {
  std::string out;
  for (const char c : unit_word(text)) out += c == '$' ? std::string("$$") : std::string(1, c);
  return out;
}

fs::path program() {
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  if (failed || !fs::exists(self, failed)) {
    throw Failure(exit_failed, "io_failed", "cannot find out where this program is (/proc/self/exe)");
  }
  return self;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

std::set<fs::path> places_of_certificates(const fs::path& state, Output& output) {
  std::set<fs::path> places;
  std::error_code failed;
  if (!fs::is_directory(state, failed)) return places;
  StateFlags flags;
  flags.dir = state.string();
  const Host host(flags, Host::Access::read, output);
  for (const culmen::StoredCertificate& certificate : host.certificates()) {
    if (!certificate.damage.empty()) continue;
    const std::optional<Settings> settings = host.settings(certificate);
    if (!settings) continue;
    const HostSettings& own = settings->host;
    const std::string& key = own.cert_key_is_input ? std::string() : own.cert_key;
    for (const std::string& file : {own.out, key, own.combined, own.account_key}) {
      // Files are replaced, not changed: it is the folder that is written to.
      if (!file.empty()) places.insert(fs::path(file).parent_path());
    }
    if (!own.webroot.empty()) places.insert(own.webroot);
  }
  std::erase_if(places, [&state](const fs::path& place) { return is_below(place, state); });
  return places;
}

std::string service_text(const TimerFlags& flags, const fs::path& state, const std::string& user, Output& output) {
  const fs::path self = program();
  std::set<fs::path> places = places_of_certificates(state, output);
  for (const std::string& place : flags.writable) places.insert(fs::absolute(place).lexically_normal());
  bool uses_tmp = is_below(self, "/tmp") || is_below(self, "/var/tmp");
  // "-": a folder that is not there yet is no reason to fail.
  std::string writable = "ReadWritePaths=" + unit_word("-" + state.string()) + "\n";
  for (const fs::path& place : places) writable += "ReadWritePaths=" + unit_word("-" + place.string()) + "\n";
  places.insert(state);
  for (const fs::path& place : places) uses_tmp = uses_tmp || is_below(place, "/tmp") || is_below(place, "/var/tmp");

  std::string text(marker);
  text +=
      "; run that again to change it, it replaces this file.\n"
      "[Unit]\n"
      "Description=Renew the certificates that are due (culmen)\n"
      "Wants=network-online.target\n"
      "After=network-online.target\n"
      "\n"
      "[Service]\n"
      "Type=oneshot\n"
      "ExecStart=" +
      unit_word(self.string()) + " renew --dir " + command_argument(state.string()) + "\n";
  if (!user.empty()) text += "User=" + user + "\n";
  text +=
      "TimeoutStartSec=1h\n"
      "\n"
      "# Port 80 and 443, and nothing else that root may. As root also: web roots that belong to somebody else.\n"
      "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
      "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" +
      std::string(user.empty() ? " CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH" : "") +
      "\n"
      "NoNewPrivileges=yes\n"
      "\n"
      "# All that is written to. A DNS hook that writes elsewhere: culmen install timer --writable FOLDER\n"
      "ProtectSystem=strict\n" +
      writable + "PrivateTmp=" + (uses_tmp ? "no" : "yes") +
      "\n"
      "PrivateDevices=yes\n"
      "ProtectClock=yes\n"
      "ProtectControlGroups=yes\n"
      "ProtectHostname=yes\n"
      "ProtectKernelLogs=yes\n"
      "ProtectKernelModules=yes\n"
      "ProtectKernelTunables=yes\n"
      "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX\n"
      "RestrictNamespaces=yes\n"
      "RestrictRealtime=yes\n"
      "RestrictSUIDSGID=yes\n"
      "LockPersonality=yes\n"
      "SystemCallArchitectures=native\n";
  return text;
}

std::string timer_text(const TimerFlags& flags) {
  return std::string(marker) +
         "; run that again to change it, it replaces this file.\n"
         "[Unit]\n"
         "Description=When to look for certificates that are due (culmen)\n"
         "\n"
         "[Timer]\n"
         "OnCalendar=" +
         flags.on_calendar +
         "\n"
         "# CAs ask that not everybody comes at the same minute.\n"
         "RandomizedDelaySec=12h\n"
         "FixedRandomDelay=true\n"
         "Persistent=true\n"
         "\n"
         "[Install]\n"
         "WantedBy=timers.target\n";
}

void check_may_be_written(const Unit& unit, bool force) {
  if (force) return;
  const auto present = read_file(unit.path);
  if (!present || present->starts_with(marker)) return;
  throw Failure(exit_failed, "exists", unit.path.string() + " is there already, and culmen did not write it",
                "See what it is; --force replaces it. --print-only shows what would stand there.");
}

bool write_unit(const Unit& unit) {
  if (read_file(unit.path) == unit.text) return false;
  try {
    write_file_atomically(unit.path, unit.text, 0644);
  } catch (const Error& error) {
    throw error.while_doing(
        "writing a systemd unit (as root, or elsewhere with --systemd-dir, or see it with --print-only)");
  }
  return true;
}

/// Empty when it may stand in a unit; systemd says itself what it makes of it.
std::string check_calendar(const std::string& text) {
  const bool fine = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" *-:,./~_+").find(c) != std::string_view::npos;
  });
  return fine ? std::string() : "\"" + printable(text) + "\" is not a calendar event, as \"daily\" or \"*-*-* 04:00\"";
}

std::string check_user(const std::string& name) {
  const bool fine = !name.empty() && name.front() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
  return fine ? std::string() : "\"" + printable(name) + "\" is not a user's name";
}

}  // namespace

void define_install(Command& command) {
  auto flags = std::make_shared<TimerFlags>();
  Command timer = command.subcommand("timer", "Write systemd units that run culmen renew twice a day");
  add_dir_flag(timer, flags->dir);
  timer.text("--systemd-dir FOLDER", flags->systemd_dir, "Where the units go");
  timer.text("--on-calendar EVENT", flags->on_calendar, "When to run, as systemd.time(7) has it").check(check_calendar);
  timer.text("--user NAME", flags->user, "Run as this user (default: who calls this; for root, root)")
      .check(check_user);
  timer.list("--writable FOLDER", flags->writable, "A folder that a DNS hook writes to; repeatable");
  timer.flag("--print-only", flags->print_only, "Show both units and write nothing");
  timer.flag("--force", flags->force, "Replace units of that name that culmen did not write");
  add_json_flag(timer, flags->json);
  timer.set_action([flags](Output& output) { return run_timer(*flags, output); });
}

}  // namespace culmen::cli
