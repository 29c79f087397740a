#include "settings.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <filesystem>

#include "client_options.hpp"
#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/directory_url.hpp"
#include "culmen/identifier.hpp"
#include "files.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

Failure wrong_setting(const std::string& what, const std::string& advice = {}) {
  return Failure(exit_usage, "invalid_argument", what, advice);
}

std::string absolute_path(const std::string& path) { return path.empty() ? path : remembered_path(path).string(); }

std::string check_challenge(const std::string& type) {
  if (type == "http-01" || type == "tls-alpn-01" || needs_no_server(type)) return {};
  return "\"" + type +
         "\" is not a challenge type; there are http-01, tls-alpn-01, dns-01, dns-account-01, "
         "dns-persist-01 and onion-csr-01";
}

std::string check_address(const std::string& address) {
  in6_addr parsed;
  const bool fine = address.empty() || inet_pton(AF_INET, address.c_str(), &parsed) == 1 ||
                    inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
  return fine ? std::string() : "\"" + printable(address) + "\" is not an IP address, such as 192.0.2.1 or ::1";
}

std::string check_mode(const std::string& mode) {
  if (mode.empty()) return {};
  const bool octal = mode.size() >= 3 && mode.size() <= 4 &&
                     std::all_of(mode.begin(), mode.end(), [](char c) { return c >= '0' && c <= '7'; });
  if (!octal || (mode.size() == 4 && mode.front() != '0')) return "\"" + mode + "\" is not a mode, such as 0640";
  const char owner = mode[mode.size() - 3];
  if (((owner - '0') & 4) == 0) return "\"" + mode + "\" does not let the owner read the key";
  if (mode.back() != '0') return "\"" + mode + "\" lets everybody on this machine use the key";
  return {};
}

/// "-d a,b -d c", as canonical names, each once.
std::vector<std::string> canonical_names(const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    std::string value = Identifier::parse(name).value;
    if (std::find(found.begin(), found.end(), value) == found.end()) found.push_back(std::move(value));
  }
  return found;
}

/// What belongs to another challenge has no meaning any more.
void forget_challenge(HostSettings& host) {
  const HostSettings fresh;
  host.webroot = fresh.webroot;
  host.http_port = fresh.http_port;
  host.http_address = fresh.http_address;
  host.tls_port = fresh.tls_port;
  host.tls_address = fresh.tls_address;
  host.challenge = fresh.challenge;
}

std::vector<std::string> absolute_programs(const std::vector<std::string>& programs) {
  std::vector<std::string> paths;
  for (const std::string& program : programs) {
    // A name without a slash is looked for in PATH when it is run.
    if (!program.empty()) paths.push_back(program.find('/') == std::string::npos ? program : absolute_path(program));
  }
  return paths;
}

}  // namespace

// ---- The options ----

void SettingFlags::add_to(const Command& command) {
  Command ca = command.under_heading("CA and account");
  add(ca.text("--server URL", server_, "The CA: its ACME directory URL, or a name that culmen ca list shows")
          .suggest(known_ca_names()),
      [this](const Settings&, Settings& settings) { settings.spec.cas = {directory_url(server_)}; });
  add(ca.text("--server-ca FILE", values_.host.server_ca,
              "PEM file of roots to trust for the CA, in addition to the system's")
          .existing_file(),
      [](const Settings& given, Settings& settings) { settings.host.server_ca = absolute_path(given.host.server_ca); });
  add(ca.text("--account-key FILE", values_.host.account_key,
              "Account key file to use instead of the state folder's; its URL is kept in FILE.account-url"),
      [](const Settings& given, Settings& settings) {
        settings.host.account_key = absolute_path(given.host.account_key);
      });
  add_names(command.under_heading("Names and key"));
  add_http(command.under_heading("Challenges that a server answers"));
  add_dns(command.under_heading("Challenges through the DNS, and onion services"));
  add_outputs(command.under_heading("Output and deployment"));
}

void SettingFlags::add_names(const Command& heading) {
  Command command = heading;
  add(command.list_with_commas("-d,--domain,--domains NAME", values_.spec.names,
                               "Name for the certificate, or IP address; repeatable, or with commas"),
      [](const Settings& given, Settings& settings) { settings.spec.names = canonical_names(given.spec.names); });
  add(add_key_type_flag(command, "--cert-key-type", key_type_, "Type of the certificate's key"),
      [this](const Settings&, Settings& settings) { settings.spec.key_types = {key_type_}; });
  add(command.switchable("--reuse-key", values_.spec.reuse_key, "Keep the key at renewals"),
      [](const Settings& given, Settings& settings) { settings.spec.reuse_key = given.spec.reuse_key; });
  add(command.switchable("--allow-subset-of-names", values_.spec.allow_subset,
                         "Leave out a name that the CA refuses, with a warning, and try it again later"),
      [](const Settings& given, Settings& settings) { settings.spec.allow_subset = given.spec.allow_subset; });
  add(command.text("--profile NAME", values_.spec.profile, "One of the CA's certificate profiles"),
      [](const Settings& given, Settings& settings) {
        settings.spec.profile = given.spec.profile;
        settings.spec.profile_required = !given.spec.profile.empty();
      });
  add(command.text("--preferred-chain NAME", values_.spec.preferred_chain,
                   "Take the chain whose topmost issuer has this common name"),
      [](const Settings& given, Settings& settings) { settings.spec.preferred_chain = given.spec.preferred_chain; });
  add(command.switchable("--must-staple", values_.spec.must_staple,
                         "Ask for the TLS feature extension; most public CAs refuse it now"),
      [](const Settings& given, Settings& settings) { settings.spec.must_staple = given.spec.must_staple; });
  add(command.list("--ancestor DOMAIN", values_.host.ancestors,
                   "Prove this domain in place of the names below it (RFC 9444)"),
      [](const Settings& given, Settings& settings) {
        settings.host.ancestors = given.host.ancestors;
        std::erase(settings.host.ancestors, std::string());
      });
}

void SettingFlags::add_http(const Command& heading) {
  Command command = heading;
  add(command.text("--challenge TYPE", challenge_, "How to prove control of the names")
          .suggest({"http-01", "tls-alpn-01", "dns-01", "dns-account-01", "dns-persist-01", "onion-csr-01"})
          .check(check_challenge),
      [this](const Settings&, Settings& settings) {
        const std::string before = settings.spec.challenge.empty() ? "http-01" : settings.spec.challenge;
        if (challenge_ != before) forget_challenge(settings.host);
        settings.spec.challenge = challenge_;
      });
  add(command
          .number("--http-port PORT", values_.host.http_port, "Port to answer http-01 on; the CA connects to port 80")
          .between(0, 65535),
      [](const Settings& given, Settings& settings) {
        settings.host.http_port = given.host.http_port;
        settings.host.webroot.clear();
      });
  add(command.text("--http-address ADDRESS", values_.host.http_address, "Address to answer http-01 on (default: all)")
          .check(check_address),
      [](const Settings& given, Settings& settings) {
        settings.host.http_address = given.host.http_address;
        if (!given.host.http_address.empty()) settings.host.webroot.clear();
      });
  add(command
          .text("--webroot FOLDER", values_.host.webroot,
                "Folder that a running web server serves: write http-01 answers there instead")
          .excludes("--http-port")
          .excludes("--http-address"),
      [](const Settings& given, Settings& settings) {
        if (given.host.webroot.empty() && settings.host.webroot.empty()) return;
        forget_challenge(settings.host);
        settings.host.webroot = absolute_path(given.host.webroot);
      });
  add(command
          .number("--tls-port PORT", values_.host.tls_port,
                  "Port to answer tls-alpn-01 on; the CA connects to port 443")
          .between(0, 65535),
      [](const Settings& given, Settings& settings) { settings.host.tls_port = given.host.tls_port; });
  add(command.text("--tls-address ADDRESS", values_.host.tls_address, "Address to answer tls-alpn-01 on (default: all)")
          .check(check_address),
      [](const Settings& given, Settings& settings) { settings.host.tls_address = given.host.tls_address; });
}

void SettingFlags::add_dns(const Command& heading) {
  Command command = heading;
  ChallengeFlags& values = values_.host.challenge;
  const auto take = [](auto member) {
    return [member](const Settings& given, Settings& settings) {
      settings.host.challenge.*member = given.host.challenge.*member;
    };
  };
  add(command.text("--dns-hook PROGRAM", values.dns_hook, "Program that changes the DNS: see docs/dns-hooks.md"),
      [](const Settings& given, Settings& settings) {
        const std::vector<std::string> program = absolute_programs({given.host.challenge.dns_hook});
        settings.host.challenge.dns_hook = program.empty() ? std::string() : program.front();
        settings.host.challenge.manual = false;
      });
  add(command
          .number("--dns-hook-timeout SECONDS", values.dns_hook_timeout,
                  "Time limit for one run of the DNS hook, in seconds")
          .between(1, 86400),
      take(&ChallengeFlags::dns_hook_timeout));
  add(command
          .number("--dns-wait SECONDS", values.dns_wait,
                  "Seconds between the DNS change and the validation, for slow secondaries")
          .between(0, 86400),
      take(&ChallengeFlags::dns_wait));
  add(command.switchable("--manual", values.manual, "Show each DNS record, and wait until you have set it")
          .excludes("--dns-hook"),
      [](const Settings& given, Settings& settings) {
        settings.host.challenge.manual = given.host.challenge.manual;
        if (given.host.challenge.manual) settings.host.challenge.dns_hook.clear();
      });
  add(command.text("--onion-key FILE", values.onion_key,
                   "Key of the onion service: Tor's hs_ed25519_secret_key, or PEM"),
      [](const Settings& given, Settings& settings) {
        settings.host.challenge.onion_key = absolute_path(given.host.challenge.onion_key);
      });
  add(command.text("--onion-caa TEXT", values.onion_caa,
                   "CAA records of the onion service, as 'caa 0 issue \"ca.example\"'"),
      take(&ChallengeFlags::onion_caa));
  add(command
          .text("--onion-type dns|onion", values.onion_type,
                "Identifier type of .onion names: dns (RFC 9799), or onion")
          .one_of({"dns", "onion"}),
      take(&ChallengeFlags::onion_type));
}

void SettingFlags::add_outputs(const Command& heading) {
  Command command = heading;
  HostSettings& values = values_.host;
  const auto path = [](std::string HostSettings::*member) {
    return [member](const Settings& given, Settings& settings) {
      settings.host.*member = absolute_path(given.host.*member);
    };
  };
  const auto text = [](std::string HostSettings::*member) {
    return [member](const Settings& given, Settings& settings) { settings.host.*member = given.host.*member; };
  };
  const auto programs = [](std::vector<std::string> HostSettings::*member) {
    return [member](const Settings& given, Settings& settings) {
      settings.host.*member = absolute_programs(given.host.*member);
    };
  };
  add(command.text("--out FILE", values.out, "Also write the chain to this file; /dev/stdout prints it once"),
      path(&HostSettings::out));
  add(command.text("--cert-key,--key FILE", values.cert_key,
                   "The certificate's key: used if the file exists, otherwise written"),
      [](const Settings& given, Settings& settings) {
        const std::string file = absolute_path(given.host.cert_key);
        std::error_code none;
        // The file that culmen wrote does not become an input when the same command is given again.
        if (file != settings.host.cert_key) settings.host.cert_key_is_input = !file.empty() && fs::exists(file, none);
        settings.host.cert_key = file;
      });
  add(command.text("--combined FILE", values.combined, "Also write key and chain to this one file, as HAProxy wants"),
      path(&HostSettings::combined));
  add(command.text("--key-mode MODE", values.key_mode, "Mode of files with the key, such as 0640").check(check_mode),
      text(&HostSettings::key_mode));
  add(command.text("--key-group GROUP", values.key_group, "Group of files with the key, such as ssl-cert"),
      text(&HostSettings::key_group));
  add(command.list("--deploy-hook PROGRAM", values.deploy_hooks,
                   "Program to run after the certificate has changed; repeatable"),
      programs(&HostSettings::deploy_hooks));
  add(command.list("--pre-hook PROGRAM", values.pre_hooks, "Program to run before an order; repeatable"),
      programs(&HostSettings::pre_hooks));
  add(command.list("--post-hook PROGRAM", values.post_hooks,
                   "Program to run after an order, whatever came of it; repeatable"),
      programs(&HostSettings::post_hooks));
  add(command.list("--on-failure PROGRAM", values.failure_hooks,
                   "Program to run when the certificate is late, and once a day after that; repeatable"),
      programs(&HostSettings::failure_hooks));
  add(command.number("--hook-timeout SECONDS", values.hook_timeout, "Time limit for one run of a hook, in seconds")
          .between(1, 86400),
      [](const Settings& given, Settings& settings) { settings.host.hook_timeout = given.host.hook_timeout; });
}

// ---- Merging and checking ----

void SettingFlags::hide_defaults() {
  for (Member& member : members_) member.option.hide_default();
}

bool SettingFlags::given() const {
  return std::any_of(members_.begin(), members_.end(), [](const Member& member) { return member.option.given(); });
}

bool SettingFlags::is_given(const std::string& option) const {
  return std::any_of(members_.begin(), members_.end(),
                     [&](const Member& member) { return member.option.is(option) && member.option.given(); });
}

void SettingFlags::check_ports(const Settings& settings) const {
  for (const std::string type : {"http-01", "tls-alpn-01"}) {
    for (const char* what : {"-port", "-address"}) {
      const std::string option = (type == "http-01" ? "--http" : "--tls") + std::string(what);
      if (!is_given(option) || settings.spec.challenge == type) continue;
      throw wrong_setting(
          option + " is for " + type + ", and the challenge of this certificate is " + settings.spec.challenge,
          "To change that: --challenge " + type + ".");
    }
  }
}

Settings SettingFlags::merged(std::optional<Settings> before) const {
  Settings settings = before ? std::move(*before) : Settings();
  if (settings.spec.cas.empty()) {
    settings.spec.cas = {directory_url("letsencrypt")};
  }
  // A way to change the DNS says the challenge, if nothing else does.
  if (settings.spec.challenge.empty())
    settings.spec.challenge = is_given("--dns-hook") || is_given("--manual") ? "dns-01" : "http-01";
  // The challenge comes first: another one makes what belongs to the old one meaningless.
  for (const bool challenge_first : {true, false}) {
    for (const Member& member : members_) {
      if (!member.option.given()) continue;
      if (member.option.is("--challenge") != challenge_first) continue;
      if (!member.option.is_utf8())
        throw wrong_setting(member.option.name() + ": the value is not UTF-8", "It could not be remembered.");
      member.take(values_, settings);
    }
  }
  if (const std::optional<PrivateKey> key = input_key(settings.host)) {
    if (is_given("--cert-key-type") && key->type() != key_type_) {
      throw wrong_setting(
          "--cert-key: " + settings.host.cert_key + " holds a key of type " + key->type() + ", not " + key_type_,
          "Leave --cert-key-type out to use it, or name another file.");
    }
    settings.spec.key_types = {key->type()};
  }
  check_settings(settings);
  return settings;
}

DeploymentSettings written_here(const HostSettings& settings) {
  DeploymentSettings written = settings;
  if (is_standard_output(written.out)) written.out.clear();
  return written;
}

std::vector<std::string> written_files(const HostSettings& settings) { return output_files(written_here(settings)); }

std::vector<std::string> read_files(const HostSettings& settings) {
  std::vector<std::string> files = {settings.server_ca, settings.account_key, settings.challenge.onion_key,
                                    settings.challenge.dns_hook};
  if (!settings.account_key.empty()) files.push_back(settings.account_key + ".account-url");
  if (settings.cert_key_is_input) files.push_back(settings.cert_key);
  for (const auto& hooks : {settings.deploy_hooks, settings.pre_hooks, settings.post_hooks, settings.failure_hooks})
    files.insert(files.end(), hooks.begin(), hooks.end());
  std::erase_if(files, [](const std::string& file) { return file.find('/') == std::string::npos; });  // found in PATH
  return files;
}

bool is_standard_output(const std::string& path) { return path == "/dev/stdout"; }

std::optional<PrivateKey> input_key(const HostSettings& settings) {
  if (!settings.cert_key_is_input) return std::nullopt;
  const std::string doing = "reading --cert-key " + settings.cert_key;
  const std::optional<std::string> pem = read_file(settings.cert_key);
  if (!pem) throw Error(Errc::io_failed, doing, "there is no such file");
  try {
    return PrivateKey::from_pem(*pem);
  } catch (const Error& error) {
    throw error.while_doing(doing);
  }
}

void check_settings(const Settings& settings) {
  const std::string& challenge = settings.spec.challenge;
  if (settings.spec.names.empty()) throw wrong_setting("the certificate has no names", "Give them with -d NAME.");
  if (settings.host.files_only) return;  // what proves the names is another host's
  for (const std::string& name : settings.spec.names) {
    if (name.starts_with("*.") && (challenge == "http-01" || challenge == "tls-alpn-01")) {
      throw wrong_setting(
          challenge + " cannot prove the wildcard name " + name,
          "CAs want dns-01 for wildcards: give --dns-hook PROGRAM (docs/dns-hooks.md) or --manual, with "
          "--challenge dns-01 if another challenge was used before; or name each host instead.");
    }
  }
  if (!settings.host.webroot.empty() && challenge != "http-01")
    throw wrong_setting("--webroot is for http-01, not for " + challenge);
  check_challenge_flags(challenge, settings.host.challenge);
  for (const std::string& text : settings.host.ancestors) {
    const std::string ancestor = Identifier::dns(text).value;
    const auto is_below = [&](const std::string& name) {
      return name.ends_with("." + ancestor) && name != "*." + ancestor;
    };
    if (std::none_of(settings.spec.names.begin(), settings.spec.names.end(), is_below))
      throw wrong_setting("--ancestor: no name of the certificate is below " + ancestor);
  }
  const Result<void> good = check_spec(settings.spec);
  if (!good) throw wrong_setting(good.error().what());
}

// ---- The file ----

namespace {

struct TextMember {
  const char* name;
  std::string HostSettings::*member;
};
constexpr TextMember text_members[] = {
    {"server_ca", &HostSettings::server_ca},
    {"account_key", &HostSettings::account_key},
    {"out", &HostSettings::out},
    {"cert_key", &HostSettings::cert_key},
    {"combined", &HostSettings::combined},
    {"key_mode", &HostSettings::key_mode},
    {"key_group", &HostSettings::key_group},
};
struct ListMember {
  const char* name;
  std::vector<std::string> HostSettings::*member;
};
constexpr ListMember list_members[] = {
    {"ancestors", &HostSettings::ancestors},         {"deploy_hooks", &HostSettings::deploy_hooks},
    {"pre_hooks", &HostSettings::pre_hooks},         {"post_hooks", &HostSettings::post_hooks},
    {"failure_hooks", &HostSettings::failure_hooks},
};

/// As meta.json of the release before has it, too.
JsonObject challenge_object(const HostSettings& host) {
  const HostSettings fresh;
  JsonObject challenge;
  if (!host.webroot.empty()) challenge.set("webroot", host.webroot);
  if (host.http_port != fresh.http_port) challenge.set("http_port", host.http_port);
  if (!host.http_address.empty()) challenge.set("http_address", host.http_address);
  if (host.tls_port != fresh.tls_port) challenge.set("tls_port", host.tls_port);
  if (!host.tls_address.empty()) challenge.set("tls_address", host.tls_address);
  note_challenge_flags(host.challenge, challenge);
  return challenge;
}

void read_challenge(const JsonObject& challenge, HostSettings& host) {
  const auto port = [&](const char* name, int otherwise) {
    const int number = challenge.number(name, otherwise);
    return number >= 0 && number <= 65535 ? number : otherwise;
  };
  host.webroot = challenge.text("webroot");
  host.http_port = port("http_port", host.http_port);
  host.http_address = challenge.text("http_address");
  host.tls_port = port("tls_port", host.tls_port);
  host.tls_address = challenge.text("tls_address");
  restore_challenge_flags(challenge, host.challenge);
}

}  // namespace

JsonObject to_json(const HostSettings& settings) {
  JsonObject object;
  object.set("format", 1);
  object.set("challenge", challenge_object(settings));
  for (const TextMember& member : text_members) {
    if (!(settings.*member.member).empty()) object.set(member.name, settings.*member.member);
  }
  for (const ListMember& member : list_members) {
    if (!(settings.*member.member).empty()) object.set(member.name, settings.*member.member);
  }
  if (is_standard_output(settings.out)) object.erase("out");
  if (settings.hook_timeout != HostSettings().hook_timeout) object.set("hook_timeout", settings.hook_timeout);
  if (settings.files_only) object.set("files_only", true);
  if (settings.cert_key_is_input) object.set("cert_key_is_input", true);
  return object;
}

namespace {

struct NumberMember {
  const char* name;
  std::int64_t least, most;
};
constexpr NumberMember challenge_numbers[] = {
    {"http_port", 0, 65535}, {"tls_port", 0, 65535}, {"dns_hook_timeout", 1, 86400}, {"dns_wait", 0, 86400}};
constexpr NumberMember hook_timeout_number = {"hook_timeout", 1, 86400};
constexpr std::int64_t settings_format = 1;

/// What is wrong with members that are there; empty: nothing.
std::string wrong_number(const JsonObject& object, const NumberMember& member) {
  const std::string type = object.type_of(member.name);
  const std::int64_t number = object.number(member.name, member.least - 1);
  if (type.empty() || (type == "number" && number >= member.least && number <= member.most)) return {};
  return std::string(member.name) + " is not a number from " + std::to_string(member.least) + " to " +
         std::to_string(member.most);
}

std::string wrong_type(const JsonObject& object, const char* name, const std::string& type) {
  const std::string is = object.type_of(name);
  return is.empty() || is == type ? std::string() : std::string(name) + " is a " + is + ", not a " + type;
}

std::string wrong_member(const JsonObject& object) {
  const std::int64_t format = object.number("format", std::int64_t{0});
  if (format > settings_format)
    return "its format is " + std::to_string(format) + ", and this culmen knows " + std::to_string(settings_format) +
           ": use a newer culmen";
  std::vector<std::string> wrong = {wrong_type(object, "format", "number"), wrong_type(object, "challenge", "object"),
                                    wrong_number(object, hook_timeout_number), wrong_type(object, "files_only", "flag"),
                                    wrong_type(object, "cert_key_is_input", "flag")};
  for (const TextMember& member : text_members) wrong.push_back(wrong_type(object, member.name, "text"));
  for (const ListMember& member : list_members) wrong.push_back(wrong_type(object, member.name, "list"));
  const JsonObject challenge = object.object("challenge");
  for (const NumberMember& member : challenge_numbers) wrong.push_back(wrong_number(challenge, member));
  for (const char* name : {"webroot", "http_address", "tls_address", "dns_hook", "onion_key", "onion_caa"})
    wrong.push_back(wrong_type(challenge, name, "text"));
  if (const std::string type = challenge.text("type"); !type.empty()) wrong.push_back(check_challenge(type));
  if (const std::string mode = object.text("key_mode"); !mode.empty()) {
    if (const std::string why = check_mode(mode); !why.empty()) wrong.push_back("key_mode: " + why);
  }
  const auto found = std::find_if(wrong.begin(), wrong.end(), [](const std::string& text) { return !text.empty(); });
  return found == wrong.end() ? std::string() : *found;
}

}  // namespace

HostSettings checked_host_settings(const JsonObject& object, const std::string& file) {
  const std::string wrong = wrong_member(object);
  if (!wrong.empty()) throw Error(Errc::io_failed, "reading " + file, printable(wrong));
  return host_settings_from(object);
}

HostSettings host_settings_from(const JsonObject& object) {
  HostSettings settings;
  read_challenge(object.object("challenge"), settings);
  for (const TextMember& member : text_members) settings.*member.member = object.text(member.name);
  for (const ListMember& member : list_members) settings.*member.member = object.texts(member.name);
  settings.hook_timeout = std::clamp(object.number("hook_timeout", settings.hook_timeout), 1, 86400);
  settings.files_only = object.flag("files_only");
  settings.cert_key_is_input = object.flag("cert_key_is_input");
  return settings;
}

JsonObject meta_for_release_before(const Settings& settings) {
  JsonObject meta;
  JsonObject challenge;
  challenge.set("type", settings.spec.challenge);
  challenge.copy_all(challenge_object(settings.host));
  meta.set("challenge", challenge);
  for (const TextMember& member : text_members) {
    if (!(settings.host.*member.member).empty()) meta.set(member.name, settings.host.*member.member);
  }
  if (!settings.host.ancestors.empty()) meta.set("ancestors", settings.host.ancestors);
  if (!settings.spec.preferred_chain.empty()) meta.set("preferred_chain", settings.spec.preferred_chain);
  if (!settings.spec.profile.empty()) meta.set("profile", settings.spec.profile);
  if (settings.spec.must_staple) meta.set("must_staple", "yes");
  return meta;
}

Settings settings_from_meta(const JsonObject& meta, const std::string& id) {
  Settings settings;
  settings.host = host_settings_from(meta);
  CertificateSpec& spec = settings.spec;
  spec.id = id;
  spec.names = meta.texts("names");
  if (const std::string server = meta.text("server"); !server.empty()) spec.cas = {server};
  if (const std::string type = meta.text("key_type"); !type.empty()) spec.key_types = {type};
  spec.challenge = meta.object("challenge").text("type");
  spec.profile = meta.text("profile");
  spec.preferred_chain = meta.text("preferred_chain");
  spec.must_staple = !meta.text("must_staple").empty();
  return settings;
}

}  // namespace culmen::cli
