// culmen install: systemd units that run culmen renew or culmen run.
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/program.hpp"
#include "files.hpp"
#include "host.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "storage_url.hpp"

namespace culmen::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view marker = "# Written by: culmen install ";
enum class UnitKind { timer, service };

constexpr const char* default_calendar = "*-*-* 00,12:00:00";
/// Of an option that no line of a unit shows.
constexpr std::string_view writable_mark = "# --writable ";

struct InstallFlags {
  InstallFlags() = default;
  std::string dir;
  std::string systemd_dir = "/etc/systemd/system";
  std::string on_calendar = default_calendar;
  std::string user, on_failure_unit;
  std::vector<std::string> writable;
  bool print_only = false;
  bool force = false;
  bool uninstall = false;
  bool json = false;
  std::vector<Option> lasting;  ///< Those that hold until they are given anew.
};

struct Unit {
  fs::path path;
  std::string text;
  unsigned mode = 0644;
};

/// How the service reaches the CA: the variables of the environment, and where they are to be.
struct Proxy {
  Proxy() = default;
  std::string lines;         ///< For the unit.
  std::optional<Unit> file;  ///< With a password in it.
};

/// What renewals write to beside the state folder: web roots, storage, and where --out, --cert-key, --combined and
/// --account-key are.
std::set<fs::path> places_of_certificates(const fs::path& state, Output& output);
Proxy proxy_of(const fs::path& state);
void check_calendar_event(const std::string& event);
std::string timed_text(const InstallFlags& flags, const fs::path& state, const std::string& shared);
std::string running_text(const InstallFlags& flags, const fs::path& state, const std::string& shared);
std::string shared_text(const InstallFlags& flags, const fs::path& state, const std::string& user, const Proxy& proxy,
                        Output& output);
std::string timer_text(const InstallFlags& flags);
void check_may_be_written(const Unit& unit, bool force);
bool write_unit(const Unit& unit);
std::vector<std::string> names_of_units(UnitKind kind);
std::vector<std::string> keep_former(UnitKind kind, const fs::path& folder, InstallFlags& flags);
std::string options_listed(const std::vector<std::string>& texts);

/// Throws Failure (exit_failed) if there is no such user here; warns if the state folder is another one's. For units
/// that are only printed, and may be for another machine, all of it is a warning.
void check_service_user(const InstallFlags& flags, const std::string& user, const fs::path& state, Output& output) {
  if (user.empty()) return;
  const bool is_number = std::all_of(user.begin(), user.end(), [](char c) { return c >= '0' && c <= '9'; });
  const passwd* const known = getpwnam(user.c_str());
  if (!known && !is_number) {
    const std::string text = "--user: there is no user " + user + " on this machine";
    if (flags.print_only) return output.warn(text);
    throw Failure(exit_failed, "not_found", text,
                  "Make it first: useradd --system --no-create-home --shell /usr/sbin/nologin " + user +
                      "; or name another one. --user '' is for none.");
  }
  struct stat folder {};
  const uid_t uid = known ? known->pw_uid : static_cast<uid_t>(std::strtoul(user.c_str(), nullptr, 10));
  if (uid == 0 || stat(state.c_str(), &folder) != 0 || folder.st_uid == uid) return;
  output.warn("the state folder " + state.string() + " does not belong to " + user +
              ", and the service cannot work in it. Give it to that user: chown -R " + user + ": " + state.string());
}

int run_install(UnitKind kind, InstallFlags flags, Output& output) {
  if (flags.on_calendar.empty()) flags.on_calendar = default_calendar;
  std::erase(flags.writable, std::string());
  const std::vector<std::string> kept = keep_former(kind, fs::absolute(flags.systemd_dir).lexically_normal(), flags);
  std::string user = flags.user;
  if (user.empty() && geteuid() != 0) {
    if (const passwd* self = getpwuid(geteuid())) user = self->pw_name;
  }
  const fs::path folder = fs::absolute(flags.systemd_dir).lexically_normal();
  const fs::path state = state_folder(flags.dir);
  if (std::error_code none; !fs::is_directory(state, none)) {
    output.warn("there is no state folder " + state.string() + " yet. What the units start fails until culmen issue " +
                "has made it; --dir names another one.");
  }
  check_service_user(flags, user, state, output);
  const Proxy proxy = proxy_of(state);
  const std::string shared = shared_text(flags, state, user, proxy, output);
  JsonObject& json = output.result();
  json.set("kept", kept);
  std::vector<Unit> units;
  if (kind == UnitKind::timer) {
    check_calendar_event(flags.on_calendar);
    units.push_back({folder / "culmen-renew.service", timed_text(flags, state, shared)});
    units.push_back({folder / "culmen-renew.timer", timer_text(flags)});
    json.set("timer", units.back().path.string());
  } else {
    units.push_back({folder / "culmen.service", running_text(flags, state, shared)});
  }
  json.set("service", units.front().path.string());
  json.set("state", state.string());
  const std::string kept_text =
      "Kept from the units that are there: " + options_listed(kept) + ". An empty value drops one, as in --user ''.";
  if (flags.print_only) {
    if (!kept.empty()) output.say("# " + kept_text);
    json.set("changed", false);
    json.set("service_text", units.front().text);
    if (kind == UnitKind::timer) json.set("timer_text", units.back().text);
    for (const Unit& unit : units) output.say("# " + unit.path.string() + "\n" + unit.text);
    if (proxy.file) output.say("# With the password of the proxy, mode 0600: " + proxy.file->path.string());
    return exit_ok;
  }
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) {
    throw Failure(exit_failed, "not_found", "there is no folder " + folder.string(),
                  "Say where systemd looks for units with --systemd-dir, or see the units with --print-only.");
  }
  for (const Unit& unit : units) check_may_be_written(unit, flags.force);
  if (proxy.file) {
    make_private_folder(state);
    make_private_folder(proxy.file->path.parent_path());
    units.push_back(*proxy.file);
  }
  bool changed = false;
  for (const Unit& unit : units) {
    if (!write_unit(unit)) continue;
    changed = true;
    output.say("Wrote " + unit.path.string());
  }
  json.set("changed", changed);
  if (!kept.empty()) output.say(kept_text);
  if (!changed) output.say("Nothing to do: the units are there already, as they should be");
  const std::string unit = kind == UnitKind::timer ? "culmen-renew.timer" : "culmen.service";
  output.say("Next, as root:\n  systemctl daemon-reload\n  systemctl enable --now " + unit);
  if (kind == UnitKind::timer) {
    output.say("Try it with: systemctl start culmen-renew.service");
    return exit_ok;
  }
  output.say("After a change of settings, to have it at once: systemctl reload culmen.service");
  if (fs::exists(folder / "culmen-renew.timer", failed))
    output.say("The timer is not needed beside it: systemctl disable --now culmen-renew.timer");
  return exit_ok;
}

std::vector<std::string> names_of_units(UnitKind kind) {
  if (kind == UnitKind::service) return {"culmen.service"};
  return {"culmen-renew.service", "culmen-renew.timer"};
}

std::string options_listed(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + printable(text, 1000);
  return all;
}

/// The texts after `start` in the lines that begin with it.
std::vector<std::string> lines_with(const std::string& text, std::string_view start) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(start)) found.push_back(line.substr(start.size()));
  }
  return found;
}

/// Options of before that are not given now, from units that culmen wrote. Returns what they are.
std::vector<std::string> keep_former(UnitKind kind, const fs::path& folder, InstallFlags& flags) {
  std::string text;
  for (const std::string& name : names_of_units(kind)) {
    const std::optional<std::string> unit = read_file(folder / name);
    if (unit && unit->starts_with(marker)) text += *unit;
  }
  std::vector<std::string> kept;
  const auto former = [&](const std::string& option, std::string_view start) {
    const bool is_given = std::any_of(flags.lasting.begin(), flags.lasting.end(),
                                      [&](const Option& each) { return each.is(option) && each.given(); });
    std::vector<std::string> values = is_given ? std::vector<std::string>() : lines_with(text, start);
    std::erase(values, option == "--on-calendar" ? default_calendar : "");
    for (const std::string& value : values) kept.push_back(option + " " + value);
    return values;
  };
  for (const std::string& value : former("--user", "User=")) flags.user = value;
  for (const std::string& value : former("--on-failure-unit", "OnFailure=")) flags.on_failure_unit = value;
  for (const std::string& value : former("--on-calendar", "OnCalendar=")) flags.on_calendar = value;
  for (const std::string& value : former("--writable", writable_mark)) flags.writable.push_back(value);
  return kept;
}

/// What systemctl enable has made.
void remove_links_to(const std::string& unit, const fs::path& folder) {
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code none;
    if (entry->path().extension() == ".wants" && fs::is_symlink(entry->path() / unit, none))
      fs::remove(entry->path() / unit, none);
  }
}

int run_uninstall(UnitKind kind, const InstallFlags& flags, Output& output) {
  const fs::path folder = fs::absolute(flags.systemd_dir).lexically_normal();
  std::vector<Unit> units;
  for (const std::string& name : names_of_units(kind)) {
    units.push_back({folder / name, {}});
    check_may_be_written(units.back(), flags.force);
  }
  std::vector<std::string> removed;
  for (const Unit& unit : units) {
    std::error_code failed;
    const bool was_there = fs::remove(unit.path, failed);
    if (failed) {
      throw Error(Errc::io_failed, "removing " + unit.path.string(), failed.message() + "; run it as root")
          .with_system_code(failed);
    }
    if (!was_there) continue;
    remove_links_to(unit.path.filename().string(), folder);
    output.say("Removed " + unit.path.string());
    removed.push_back(unit.path.string());
  }
  std::error_code none;
  const bool has_other =
      fs::exists(folder / "culmen.service", none) || fs::exists(folder / "culmen-renew.service", none);
  const fs::path proxy = state_folder(flags.dir) / "local" / "proxy.env";
  if (!removed.empty() && !has_other && fs::remove(proxy, none)) output.say("Removed " + proxy.string());
  output.result().set("removed", removed);
  output.result().set("changed", !removed.empty());
  if (removed.empty()) {
    output.say("Nothing to do: there are no such units in " + folder.string());
    return exit_ok;
  }
  output.say("Next, as root:\n  systemctl stop " + names_of_units(kind).back() + "\n  systemctl daemon-reload");
  const char* const other = kind == UnitKind::timer ? "culmen.service" : "culmen-renew.timer";
  output.say(fs::exists(folder / other, none) ? std::string("Certificates and settings stay; ") + other +
                                                    " is there, and renews them if it is enabled."
                                              : "Certificates and settings stay; nothing renews them now.");
  return exit_ok;
}

// systemd.syntax(7): quotes and backslashes are escaped in a quoted word, "%" begins a specifier (systemd.unit(5)).
std::string unit_word(const std::string& text, const std::string& what = {}) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      throw Failure(exit_usage, "invalid_argument",
                    (what.empty() ? "\"" + printable(text) + "\"" : what) +
                        " has a control character in it, which no systemd unit can hold");
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

std::set<fs::path> places_of_certificates(const fs::path& state, Output& output) {
  std::set<fs::path> places;
  std::error_code failed;
  if (!fs::is_directory(state, failed)) return places;
  StateFlags flags;
  flags.dir = state.string();
  const Host host(flags, Host::Access::read, output);
  if (host.keeps_files()) places.insert(host.place());
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

/// A proxy with a user name has a password, most likely.
bool has_credentials(const std::string& proxy) { return proxy.find('@') != std::string::npos; }

Proxy proxy_of(const fs::path& state) {
  Proxy proxy;
  std::string in_unit, in_file;
  bool is_secret = false;
  for (const char* const name :
       {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"}) {
    const char* const value = getenv(name);
    if (!value || !*value) continue;
    const std::string assignment = std::string(name) + "=" + value;
    is_secret = is_secret || has_credentials(value);
    in_unit += "Environment=" + unit_word(assignment, std::string("the environment variable ") + name) + "\n";
    // systemd.exec(5), EnvironmentFile=: in double quotes these are escaped; "%" is only itself.
    in_file += std::string(name) + "=\"";
    for (const char* c = value; *c; ++c) {
      if (std::string_view("\"\\`$").find(*c) != std::string_view::npos) in_file += '\\';
      in_file += *c;
    }
    in_file += "\"\n";
  }
  if (in_unit.empty()) return proxy;
  proxy.lines = "# As in the environment of culmen install.\n" + in_unit;
  if (!is_secret) return proxy;
  proxy.file = Unit{state / "local" / "proxy.env", in_file, 0600};
  // A path is not quoted here; systemd would take the quotes as part of it.
  std::string path;
  for (const char c : proxy.file->path.string()) path += c == '%' ? std::string("%%") : std::string(1, c);
  proxy.lines = "# The proxy of the environment of culmen install; it has a password.\nEnvironmentFile=" + path + "\n";
  return proxy;
}

/// systemd's own opinion, where it can be had.
void check_calendar_event(const std::string& event) {
  if (!obstacle_of_program("systemd-analyze").empty()) return;
  ProgramRun run;
  run.words = {"systemd-analyze", "calendar", "--", event};
  run.time_limit = std::chrono::seconds(20);
  try {
    run_program("checking --on-calendar", run, interrupt_token());
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    throw Failure(
        exit_usage, "invalid_argument",
        "--on-calendar: systemd does not understand \"" + printable(event) + "\": " + printable(error.detail(), 1000),
        "See systemd.time(7), and try with: systemd-analyze calendar EVENT");
  }
}

std::string head_of(std::string_view kind, const InstallFlags& flags, std::string_view description) {
  std::string text = std::string(marker) + std::string(kind) +
                     "; run that again to change it, it replaces this file.\n"
                     "[Unit]\n"
                     "Description=" +
                     std::string(description) +
                     "\n"
                     "Wants=network-online.target\n"
                     "After=network-online.target\n";
  if (!flags.on_failure_unit.empty()) text += "OnFailure=" + flags.on_failure_unit + "\n";
  return text + "\n[Service]\n";
}

std::string timed_text(const InstallFlags& flags, const fs::path& state, const std::string& shared) {
  return head_of("timer", flags, "Renew the certificates that are due (culmen)") +
         "Type=oneshot\n"
         "ExecStart=" +
         unit_word(program().string()) + " renew --dir " + command_argument(state.string()) + "\n" +
         "TimeoutStartSec=1h\n" + shared;
}

std::string running_text(const InstallFlags& flags, const fs::path& state, const std::string& shared) {
  return head_of("service", flags, "Keep certificates fresh (culmen)") +
         "Type=notify\n"
         "ExecStart=" +
         unit_word(program().string()) + " run --dir " + command_argument(state.string()) +
         "\n"
         "# SIGHUP: look at certificates and settings again.\n"
         "ExecReload=/bin/kill -HUP $MAINPID\n"
         "WatchdogSec=5min\n"
         "Restart=on-failure\n"
         "RestartSec=30s\n"
         "# Wrong usage does not get better.\n"
         "RestartPreventExitStatus=2\n"
         "TimeoutStartSec=5min\n"
         "# Hooks are ended by culmen; post-hooks may need some time.\n"
         "KillMode=mixed\n"
         "TimeoutStopSec=40s\n" +
         shared + "\n[Install]\nWantedBy=multi-user.target\n";
}

/// The user, the proxy and the sandbox.
std::string shared_text(const InstallFlags& flags, const fs::path& state, const std::string& user, const Proxy& proxy,
                        Output& output) {
  std::set<fs::path> places = places_of_certificates(state, output);
  std::string given_places;
  for (const std::string& given : flags.writable) {
    const fs::path place = fs::absolute(given).lexically_normal();
    places.insert(place);
    given_places += std::string(writable_mark) + place.string() + "\n";
  }
  const fs::path self = program();
  bool uses_tmp = is_below(self, "/tmp") || is_below(self, "/var/tmp");
  // "-": a folder that is not there yet is no reason to fail.
  std::string writable = "ReadWritePaths=" + unit_word("-" + state.string()) + "\n";
  for (const fs::path& place : places) writable += "ReadWritePaths=" + unit_word("-" + place.string()) + "\n";
  places.insert(state);
  for (const fs::path& place : places) uses_tmp = uses_tmp || is_below(place, "/tmp") || is_below(place, "/var/tmp");

  std::string text;
  if (!user.empty()) text += "User=" + user + "\n";
  text += proxy.lines;
  text +=
      "\n"
      "# Ports 80 and 443, and nothing else that root may. As root also: web roots that belong to another user, and\n"
      "# owner and group of files that are replaced (--key-group).\n"
      "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
      "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" +
      std::string(user.empty() ? " CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER" : "") +
      "\n"
      "NoNewPrivileges=yes\n"
      "\n"
      "# All that is written to. Hooks run in here, too: one that writes elsewhere needs --writable FOLDER of culmen\n"
      "# install.\n"
      "ProtectSystem=strict\n" +
      writable + given_places + "PrivateTmp=" + (uses_tmp ? "no" : "yes") +
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

std::string timer_text(const InstallFlags& flags) {
  return std::string(marker) +
         "timer; run that again to change it, it replaces this file.\n"
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
  std::error_code failed;
  const bool has_mode = static_cast<unsigned>(fs::status(unit.path, failed).permissions()) == unit.mode;
  if (read_file(unit.path) == unit.text && has_mode) return false;
  try {
    write_file_atomically(unit.path, unit.text, unit.mode);
  } catch (const Error& error) {
    throw error.while_doing(
        "writing a systemd unit (as root, or elsewhere with --systemd-dir, or see it with --print-only)");
  }
  return true;
}

/// Empty when it may stand in a unit; systemd says itself what it makes of it.
std::string check_calendar(const std::string& text) {
  const bool fine = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" *-:,./~_+").find(c) != std::string_view::npos;
  });
  return fine ? std::string() : "\"" + printable(text) + "\" is not a calendar event, as \"daily\" or \"*-*-* 04:00\"";
}

std::string check_unit(const std::string& name) {
  const bool fine =
      name.empty() ||
      (name.find('.') != std::string::npos && name.front() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                std::string_view("_-.@:\\%").find(c) != std::string_view::npos;
       }));
  return fine ? std::string() : "\"" + printable(name) + "\" is not a unit, as \"mail-root@%n.service\"";
}

std::string check_user(const std::string& name) {
  const bool fine = !name.starts_with('-') && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
  return fine ? std::string() : "\"" + printable(name) + "\" is not a user's name";
}

}  // namespace

void define_install(Command& command) {
  const auto define = [&command](UnitKind kind, const char* name, const char* description) {
    auto flags = std::make_shared<InstallFlags>();
    Command unit = command.subcommand(name, description);
    const auto lasting = [&flags](const Option& option) { flags->lasting.push_back(option); };
    add_dir_flag(unit, flags->dir);
    unit.text("--systemd-dir FOLDER", flags->systemd_dir, "Where the units go");
    if (kind == UnitKind::timer) {
      lasting(unit.text("--on-calendar EVENT", flags->on_calendar, "When to run, in the format of systemd.time(7)")
                  .check(check_calendar));
    }
    lasting(unit.text("--user USER", flags->user, "User to run as (default: the user who runs this command)")
                .check(check_user));
    lasting(unit.list("--writable FOLDER", flags->writable, "A folder that a hook writes to; repeatable"));
    lasting(unit.text("--on-failure-unit UNIT", flags->on_failure_unit,
                      "Unit that systemd starts when the service fails (OnFailure=)")
                .check(check_unit));
    unit.flag("--uninstall", flags->uninstall, "Remove the units that this command wrote")
        .excludes("--writable")
        .excludes("--user");
    unit.flag("--print-only", flags->print_only, "Show the units and write nothing");
    unit.flag("--force", flags->force, "Replace units of that name that culmen did not write");
    add_json_flag(unit, flags->json);
    unit.set_action([flags, kind](Output& output) {
      return flags->uninstall ? run_uninstall(kind, *flags, output) : run_install(kind, *flags, output);
    });
  };
  define(UnitKind::timer, "timer", "Write systemd units that run culmen renew twice a day");
  define(UnitKind::service, "service", "Write a systemd unit that runs culmen run");
}

}  // namespace culmen::cli
