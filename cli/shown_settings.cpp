#include "shown_settings.hpp"

#include <algorithm>
#include <utility>

#include "output.hpp"

namespace culmen::cli {

namespace {

/// A setting, as one text or as several.
struct SettingTexts {
  SettingTexts(std::string label_, std::vector<std::string> texts_, Takes takes_)
      : label(std::move(label_)), texts(std::move(texts_)), takes(takes_) {}
  std::string label;
  std::vector<std::string> texts;
  Takes takes;
};

std::string listed(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + printable(text, 1000);
  return all;
}

std::string place_text(const char* challenge, int port, const std::string& address) {
  return std::string(challenge) + " on port " + std::to_string(port) + (address.empty() ? "" : " of " + address);
}

std::string challenge_text(const Settings& settings) {
  const HostSettings& host = settings.host;
  const std::string& type = settings.spec.challenge;
  if (host.files_only) return "none: another host renews it";
  if (type == "http-01") {
    if (!host.webroot.empty()) return type + " through the web root " + host.webroot;
    return place_text("http-01", host.http_port, host.http_address);
  }
  if (type == "tls-alpn-01") return place_text("tls-alpn-01", host.tls_port, host.tls_address);
  std::string text = type;
  if (!host.challenge.dns_hook.empty()) text += " by the hook " + host.challenge.dns_hook;
  if (host.challenge.manual) text += " by hand (--manual)";
  return text;
}

std::string seconds_unless(int number, int otherwise) {
  return number == otherwise ? std::string() : std::to_string(number) + " s";
}

std::vector<SettingTexts> texts_of(const Settings& settings) {
  const CertificateSpec& spec = settings.spec;
  const HostSettings& host = settings.host;
  const HostSettings fresh;
  std::vector<SettingTexts> all;
  const auto list = [&all](const char* label, const std::vector<std::string>& texts, Takes takes) {
    all.emplace_back(label, texts, takes);
  };
  const auto text = [&list](const char* label, const std::string& value, Takes takes) {
    list(label, value.empty() ? std::vector<std::string>() : std::vector<std::string>{value}, takes);
  };
  list("names", spec.names, Takes::new_certificate);
  list("CA", spec.cas, Takes::new_certificate);
  text("CA roots", host.server_ca, Takes::next_renewal);
  text("account key", host.account_key, Takes::next_renewal);
  list("key type", spec.key_types, Takes::new_certificate);
  text("subset", spec.allow_subset ? "yes" : "", Takes::new_certificate);
  text("reuse key", spec.reuse_key ? "yes" : "", Takes::next_renewal);
  text("profile", spec.profile, Takes::new_certificate);
  text("chain", spec.preferred_chain, Takes::next_renewal);
  text("must staple", spec.must_staple ? "yes" : "", Takes::new_certificate);
  text("challenge", challenge_text(settings), Takes::next_renewal);
  text("DNS wait", seconds_unless(host.challenge.dns_wait, 0), Takes::next_renewal);
  text("DNS limit", seconds_unless(host.challenge.dns_hook_timeout, fresh.challenge.dns_hook_timeout),
       Takes::next_renewal);
  text("onion key", host.challenge.onion_key, Takes::next_renewal);
  text("onion CAA", host.challenge.onion_caa, Takes::next_renewal);
  text("onion type", host.challenge.onion_type == "dns" ? "" : host.challenge.onion_type, Takes::next_renewal);
  list("proven by", host.ancestors, Takes::next_renewal);
  text("chain file", host.out, Takes::next_run);
  text("key file", host.cert_key + (host.cert_key_is_input ? " (read, not written)" : ""), Takes::next_run);
  text("combined", host.combined, Takes::next_run);
  text("key mode", host.key_mode, Takes::next_run);
  text("key group", host.key_group, Takes::next_run);
  list("deploy hook", host.deploy_hooks, Takes::next_change);
  list("pre-hook", host.pre_hooks, Takes::next_renewal);
  list("post-hook", host.post_hooks, Takes::next_renewal);
  list("on failure", host.failure_hooks, Takes::next_run);
  text("hook limit", seconds_unless(host.hook_timeout, fresh.hook_timeout), Takes::next_run);
  return all;
}

/// Those of `texts` that are not in `others`.
std::vector<std::string> missing_in(const std::vector<std::string>& others, std::vector<std::string> texts) {
  std::erase_if(texts,
                [&](const std::string& text) { return std::find(others.begin(), others.end(), text) != others.end(); });
  return texts;
}

std::string difference(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  if (before.size() <= 1 && after.size() <= 1) {
    const bool is_switch = before == std::vector<std::string>{"yes"} || after == std::vector<std::string>{"yes"};
    const auto one = [&](const std::vector<std::string>& texts) {
      return !texts.empty() ? listed(texts) : is_switch ? "no" : "none";
    };
    return one(before) + " -> " + one(after);
  }
  const std::string added = listed(missing_in(before, after)), dropped = listed(missing_in(after, before));
  if (added.empty() && dropped.empty()) return "in another order: " + listed(after);
  return (added.empty() ? "" : "added " + added) + (added.empty() || dropped.empty() ? "" : "; ") +
         (dropped.empty() ? "" : "dropped " + dropped);
}

}  // namespace

std::vector<SettingLine> setting_lines(const Settings& settings) {
  std::vector<SettingLine> lines;
  for (const SettingTexts& each : texts_of(settings)) lines.emplace_back(each.label, listed(each.texts), each.takes);
  return lines;
}

std::vector<SettingLine> changed_lines(const Settings& before, const Settings& after) {
  std::vector<SettingLine> lines;
  const std::vector<SettingTexts> was = texts_of(before), is = texts_of(after);
  for (std::size_t i = 0; i < is.size(); ++i) {
    if (was[i].texts != is[i].texts)
      lines.emplace_back(is[i].label, difference(was[i].texts, is[i].texts), is[i].takes);
  }
  return lines;
}

std::string labelled(const SettingLine& line) {
  std::string label = line.label;
  label.resize(std::max<std::size_t>(label.size() + 1, 14), ' ');
  return "    " + label + line.value;
}

void say_settings(const Settings& settings, Output& output) {
  for (const SettingLine& line : setting_lines(settings)) {
    if (!line.value.empty()) output.say(labelled(line));
  }
}

JsonObject settings_object(const Settings& settings) {
  const CertificateSpec& spec = settings.spec;
  JsonObject object;
  object.set("names", spec.names);
  object.set("servers", spec.cas);
  object.set("key_types", spec.key_types);
  object.set("reuse_key", spec.reuse_key);
  if (spec.allow_subset) object.set("allow_subset_of_names", true);
  if (!spec.profile.empty()) object.set("profile", spec.profile);
  if (!spec.preferred_chain.empty()) object.set("preferred_chain", spec.preferred_chain);
  if (spec.must_staple) object.set("must_staple", true);
  JsonObject challenge;
  challenge.set("type", spec.challenge);
  const JsonObject own = to_json(settings.host);
  challenge.copy_all(own.object("challenge"));
  if (spec.challenge == "http-01" && settings.host.webroot.empty()) challenge.set("http_port", settings.host.http_port);
  if (spec.challenge == "tls-alpn-01") challenge.set("tls_port", settings.host.tls_port);
  object.copy_all(own);
  object.erase("format");
  object.set("challenge", challenge);
  return object;
}

}  // namespace culmen::cli
