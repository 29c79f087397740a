// Specs, records and the use of limits as JSON: all JSON of the room.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>

#include <boost/json.hpp>

#include "base/text.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/certificate_spec.hpp"
#include "culmen/directory.hpp"
#include "culmen/rate_ledger.hpp"
#include "culmen/records.hpp"
#include "manager/nearest.hpp"

namespace culmen {

namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using WallTime = std::chrono::system_clock::time_point;

/// The clock ends in 2262.
constexpr std::int64_t latest_second = 8'000'000'000;
/// Of numbers that are counted up: far from where they would begin anew.
constexpr std::uint64_t largest_number = 1'000'000'000'000'000;

/// Thrown and caught within this file: what is wrong, beginning with the member.
struct JsonFault {
  std::string detail;
};

json::object parsed_object(std::string_view text, std::string_view what, json::storage_ptr memory = {}) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed, std::move(memory));
  if (failed) throw JsonFault{std::string(what) + " is not JSON: " + failed.message()};
  if (!value.is_object()) throw JsonFault{std::string(what) + " is not a JSON object"};
  return std::move(value.get_object());
}

/// Of valid JSON: the parser takes the last one of several members with the same name.
void refuse_duplicates(std::string_view text) {
  std::vector<std::set<std::string>> open;  // the names in the objects around
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '{') open.emplace_back();
    if (text[at] == '}') open.pop_back();
    if (text[at] != '"') continue;
    const std::size_t begin = at;
    for (++at; text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
    const std::size_t next = text.find_first_not_of(" \t\r\n", at + 1);
    if (next == std::string_view::npos || text[next] != ':') continue;  // not a name
    const std::string name(json::parse(text.substr(begin, at + 1 - begin)).as_string());
    if (!open.back().insert(name).second) throw JsonFault{printable(name, 100) + ": the member is there twice"};
  }
}

std::string json_quoted(std::string_view text) { return "\"" + printable(text, 100) + "\""; }

// ---- One value: each returns false if the value has another type ----

bool take_value(const json::value& value, std::string& out) {
  if (!value.is_string()) return false;
  out.assign(value.get_string());
  return true;
}

bool take_value(const json::value& value, bool& out) {
  if (!value.is_bool()) return false;
  out = value.get_bool();
  return true;
}

bool take_value(const json::value& value, double& out) {
  boost::system::error_code failed;
  const auto number = value.to_number<double>(failed);
  if (failed || !std::isfinite(number)) return false;
  out = number;
  return true;
}

bool take_value(const json::value& value, std::uint64_t& out) {
  boost::system::error_code failed;
  const auto number = value.is_double() ? 0 : value.to_number<std::uint64_t>(failed);
  if (failed || value.is_double() || number > largest_number) return false;
  out = number;
  return true;
}

bool take_value(const json::value& value, unsigned& out) {
  std::uint64_t number = 0;
  if (!take_value(value, number)) return false;
  out = static_cast<unsigned>(std::min<std::uint64_t>(number, std::numeric_limits<unsigned>::max()));
  return true;
}

/// A whole number of seconds, limited to what the clock can show.
bool take_value(const json::value& value, seconds& out) {
  if (!value.is_int64() && !value.is_uint64()) return false;
  const std::int64_t number =
      value.is_int64() ? value.get_int64() : std::int64_t{latest_second};  // uint64: beyond what int64 can hold
  out = seconds(std::clamp<std::int64_t>(number, 0, latest_second));
  return true;
}

bool take_value(const json::value& value, WallTime& out) {
  seconds since_epoch{0};
  if (!take_value(value, since_epoch)) return false;
  out = WallTime(since_epoch);
  return true;
}

template <class T>
bool take_value(const json::value& value, std::optional<T>& out) {
  T inner{};
  if (!take_value(value, inner)) return false;
  out = inner;
  return true;
}

bool take_value(const json::value& value, std::vector<std::string>& out) {
  if (!value.is_array()) return false;
  out.clear();
  for (const json::value& each : value.get_array()) {
    if (!each.is_string()) return false;
    out.emplace_back(each.get_string());
  }
  return true;
}

bool take_value(const json::value& value, std::map<std::string, std::string>& out) {
  if (!value.is_object()) return false;
  for (const auto& [name, each] : value.get_object()) {
    if (!each.is_string()) return false;
    out[std::string(name)] = std::string(each.get_string());
  }
  return true;
}

const char* expected_type(const std::string&) { return "a text"; }
const char* expected_type(const bool&) { return "true or false"; }
const char* expected_type(const double&) { return "a number"; }
const char* expected_type(const std::uint64_t&) { return "a whole number from 0 to 10^15"; }
const char* expected_type(const unsigned&) { return "a whole number from 0 to 10^15"; }
const char* expected_type(const seconds&) { return "a whole number of seconds"; }
const char* expected_type(const WallTime&) { return "a time in seconds since 1970"; }
template <class T>
const char* expected_type(const std::optional<T>&) {
  return expected_type(T{});
}
const char* expected_type(const std::vector<std::string>&) { return "a list of texts"; }
const char* expected_type(const std::map<std::string, std::string>&) { return "an object of texts"; }

/// Reads the members of one object, and knows afterwards which ones nobody has asked for.
class MemberReader {
 public:
  /// `where` is put before the names of members in errors, such as "renewal.". Object and names must outlive it.
  MemberReader(const json::object& object, std::string where) : object_(object), where_(std::move(where)) {
    known_.reserve(32);
    found_.reserve(object.size());
  }

  template <class T>
  void read(std::string_view name, T& out) {
    const json::value* value = find_member(name);
    if (value && !take_value(*value, out)) refuse(name, std::string("it is not ") + expected_type(out));
  }

  const json::object* object(std::string_view name) {
    const json::value* value = find_member(name);
    if (value && !value->is_object()) refuse(name, "it is not an object");
    return value ? &value->get_object() : nullptr;
  }

  [[noreturn]] void refuse(std::string_view name, const std::string& why) const {
    throw JsonFault{where_ + std::string(name) + ": " + why};
  }

  json::object unknown() const {
    json::object rest;
    for (const auto& each : object_) {
      if (std::ranges::find(found_, &each.value()) == found_.end()) rest.emplace(each.key(), each.value());
    }
    return rest;
  }

  void refuse_unknown() const {
    const json::object rest = unknown();
    if (rest.empty()) return;
    const std::string_view name = rest.begin()->key();
    throw JsonFault{where_ + printable(name, 100) + ": there is no such member" +
                    manager::suggestion(name, {known_.begin(), known_.end()})};
  }

 private:
  const json::value* find_member(std::string_view name) {
    known_.push_back(name);
    const json::value* value = object_.if_contains(name);
    if (value) found_.push_back(value);
    return value;
  }

  const json::object& object_;
  std::string where_;
  std::vector<std::string_view> known_;
  std::vector<const json::value*> found_;
};

// ---- Writing: members that have their default are left out ----

std::int64_t unix_seconds(WallTime time) {
  const std::int64_t since_epoch = std::chrono::floor<seconds>(time.time_since_epoch()).count();
  return std::clamp<std::int64_t>(since_epoch, 0, latest_second);
}

json::value json_value(const std::string& text) { return json::value(text); }
json::value json_value(bool flag) { return json::value(flag); }
json::value json_value(WallTime time) { return json::value(unix_seconds(time)); }
json::value json_value(seconds duration) { return json::value(std::int64_t{duration.count()}); }
json::value json_value(const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); }
json::value json_value(const std::map<std::string, std::string>& texts) {
  json::object out;
  for (const auto& [name, text] : texts) out[name] = text;
  return out;
}
template <class T>
json::value json_value(const std::optional<T>& optional) {
  return json_value(*optional);
}

template <class T>
void put(json::object& out, std::string_view name, const T& value, const T& usual = T{}) {
  if (value != usual) out[name] = json_value(value);
}

json::value with_printable_texts(const json::value& value);

json::object with_printable_texts(const json::object& object) {
  json::object out;
  for (const auto& [name, value] : object) out[printable(name, name.size())] = with_printable_texts(value);
  return out;
}

json::value with_printable_texts(const json::value& value) {
  if (const json::string* text = value.if_string()) return json::value(printable(*text, text->size()));
  if (const json::object* object = value.if_object()) return with_printable_texts(*object);
  if (!value.is_array()) return value;
  json::array out;
  for (const json::value& each : value.get_array()) out.push_back(with_printable_texts(each));
  return out;
}

/// What is written can be read: a text that is not UTF-8 is made printable.
std::string serialized_object(const json::object& object) {
  std::string text = json::serialize(object);
  boost::system::error_code failed;
  (void)json::parse(text, failed);
  return failed ? json::serialize(with_printable_texts(object)) : text;
}

// ---- Specs ----

CertificateSpec read_spec(MemberReader& members) {
  CertificateSpec spec;
  members.read("id", spec.id);
  members.read("names", spec.names);
  members.read("cas", spec.cas);
  members.read("key_types", spec.key_types);
  members.read("challenge", spec.challenge);
  members.read("challenge_options", spec.challenge_options);
  members.read("profile", spec.profile);
  members.read("profile_required", spec.profile_required);
  members.read("preferred_chain", spec.preferred_chain);
  members.read("must_staple", spec.must_staple);
  members.read("allow_subset", spec.allow_subset);
  members.read("reuse_key", spec.reuse_key);
  members.read("renew_before", spec.renew_before);
  members.read("use_renewal_info", spec.use_renewal_info);
  return spec;
}

json::object spec_object(const CertificateSpec& spec) {
  const CertificateSpec usual;
  json::object out;
  put(out, "id", spec.id);
  put(out, "names", spec.names);
  put(out, "cas", spec.cas);
  put(out, "key_types", spec.key_types, usual.key_types);
  put(out, "challenge", spec.challenge);
  put(out, "challenge_options", spec.challenge_options);
  put(out, "profile", spec.profile);
  put(out, "profile_required", spec.profile_required);
  put(out, "preferred_chain", spec.preferred_chain);
  put(out, "must_staple", spec.must_staple);
  put(out, "allow_subset", spec.allow_subset);
  put(out, "reuse_key", spec.reuse_key);
  if (spec.renew_before) out["renew_before"] = json_value(*spec.renew_before);
  put(out, "use_renewal_info", spec.use_renewal_info, usual.use_renewal_info);
  return out;
}

// ---- Records ----

constexpr std::uint64_t dice_unit = 1'000'000;  // stored as a whole number

std::uint64_t whole_dice(double dice) {
  if (!(dice > 0)) return 0;
  return std::min(static_cast<std::uint64_t>(std::llround(std::min(dice, 1.0) * dice_unit)), dice_unit - 1);
}

double dice_of(std::uint64_t whole) {
  return static_cast<double>(std::min(whole, dice_unit - 1)) / static_cast<double>(dice_unit);
}

RenewalState read_renewal(MemberReader& members) {
  RenewalState state;
  members.read("chosen", state.chosen);
  members.read("next_check", state.next_check);
  members.read("answered_at", state.answered_at);
  members.read("window_since", state.window_since);
  std::optional<std::uint64_t> dice;
  members.read("dice", dice);
  if (dice) state.dice = dice_of(*dice);
  std::optional<WallTime> start, end;
  RenewalInfo info;
  members.read("window_start", start);
  members.read("window_end", end);
  members.read("explanation_url", info.explanation_url);
  members.read("retry_after", info.retry_after);
  if (start && end) {
    info.window_start = *start;
    info.window_end = *end;
    state.info = std::move(info);
  } else {
    state.chosen.reset();
  }
  return state;
}

json::object renewal_object(const RenewalState& state) {
  json::object out;
  if (state.info) put(out, "chosen", state.chosen);
  put(out, "next_check", state.next_check);
  put(out, "answered_at", state.answered_at);
  put(out, "window_since", state.window_since);
  if (state.dice) out["dice"] = whole_dice(*state.dice);
  if (state.info) {
    out["window_start"] = unix_seconds(state.info->window_start);
    out["window_end"] = unix_seconds(state.info->window_end);
    put(out, "explanation_url", state.info->explanation_url);
    if (state.info->retry_after) out["retry_after"] = std::max(state.info->retry_after->count(), std::int64_t{0});
  }
  return out;
}

planner::Attempts read_attempts(MemberReader& members) {
  planner::Attempts attempts;
  members.read("in_a_row", attempts.in_a_row);
  std::optional<std::string> last;
  members.read("last", last);
  if (last) attempts.last = planner::failure_from(*last);
  members.read("last_at", attempts.last_at);
  members.read("not_before", attempts.not_before);
  return attempts;
}

json::object attempts_object(const planner::Attempts& attempts) {
  json::object out;
  out["in_a_row"] = attempts.in_a_row;
  out["last"] = planner::to_string(attempts.last);
  put(out, "last_at", attempts.last_at);
  put(out, "not_before", attempts.not_before);
  return out;
}

LeftOutName read_left_out(MemberReader& members) {
  LeftOutName left_out;
  std::optional<WallTime> since, next_try;
  members.read("since", since);
  members.read("next_try", next_try);
  members.read("tries", left_out.tries);
  members.read("why", left_out.why);
  left_out.since = since.value_or(left_out.since);
  left_out.next_try = next_try.value_or(left_out.next_try);
  return left_out;
}

json::object left_out_object(const LeftOutName& left_out) {
  json::object out;
  out["since"] = unix_seconds(left_out.since);
  out["next_try"] = unix_seconds(left_out.next_try);
  out["tries"] = left_out.tries;
  put(out, "why", left_out.why);
  return out;
}

void set_unless_empty(json::object& out, std::string_view name, json::object object) {
  if (!object.empty()) out[name] = std::move(object);
}

void read_format(MemberReader& members) {
  std::uint64_t format = record_format;
  members.read("format", format);
  if (format > record_format) throw JsonFault{base::newer_format_text(format, record_format)};
}

CertificateRecord read_record(const json::object& object) {
  MemberReader members(object, "");
  json::object unknown;
  CertificateRecord record;
  read_format(members);
  members.read("live", record.live);
  members.read("last_generation", record.last_generation);
  if (const json::object* spec = members.object("spec")) {
    MemberReader inner(*spec, "spec.");
    record.spec = read_spec(inner);
    set_unless_empty(unknown, "spec", inner.unknown());
  }
  members.read("names", record.names);
  members.read("key_type", record.key_type);
  members.read("server", record.server);
  members.read("account", record.account);
  members.read("profile", record.profile);
  members.read("must_staple", record.must_staple);
  members.read("not_before", record.not_before);
  members.read("not_after", record.not_after);
  members.read("certificate_id", record.certificate_id);
  if (const json::object* renewal = members.object("renewal")) {
    MemberReader inner(*renewal, "renewal.");
    record.renewal = read_renewal(inner);
    set_unless_empty(unknown, "renewal", inner.unknown());
  }
  std::optional<std::uint64_t> dice;
  members.read("dice", dice);
  record.dice = dice ? dice_of(*dice) : record.renewal.dice.value_or(record.dice);
  if (const json::object* attempts = members.object("attempts")) {
    MemberReader by_ca(*attempts, "attempts.");
    json::object unknown_attempts;
    for (const auto& each : *attempts) {
      const std::string ca(each.key());
      MemberReader inner(*by_ca.object(each.key()), "attempts." + printable(ca, 100) + ".");
      record.attempts[ca] = read_attempts(inner);
      set_unless_empty(unknown_attempts, ca, inner.unknown());
    }
    set_unless_empty(unknown, "attempts", std::move(unknown_attempts));
  }
  if (const json::object* left_out = members.object("left_out")) {
    MemberReader by_name(*left_out, "left_out.");
    json::object unknown_names;
    for (const auto& each : *left_out) {
      const std::string name(each.key());
      MemberReader inner(*by_name.object(each.key()), "left_out." + printable(name, 100) + ".");
      record.left_out[name] = read_left_out(inner);
      set_unless_empty(unknown_names, name, inner.unknown());
    }
    set_unless_empty(unknown, "left_out", std::move(unknown_names));
  }
  members.read("last_error", record.last_error);
  members.read("revoked", record.revoked);
  members.read("emergency", record.emergency);
  members.read("key_compromised", record.key_compromised);
  for (auto& member : members.unknown()) unknown[member.key()] = std::move(member.value());
  if (!unknown.empty()) record.unknown = json::serialize(unknown);
  return record;
}

json::object record_object(const CertificateRecord& record) {
  json::object out;
  out["format"] = record_format;
  out["live"] = std::min(record.live, largest_number);
  out["last_generation"] = std::min(record.last_generation, largest_number);
  if (record.spec) out["spec"] = spec_object(*record.spec);
  put(out, "names", record.names);
  put(out, "key_type", record.key_type);
  put(out, "server", record.server);
  put(out, "account", record.account);
  if (record.profile) out["profile"] = *record.profile;
  if (record.must_staple) out["must_staple"] = *record.must_staple;
  put(out, "not_before", record.not_before);
  put(out, "not_after", record.not_after);
  put(out, "certificate_id", record.certificate_id);
  set_unless_empty(out, "renewal", renewal_object(record.renewal));
  out["dice"] = whole_dice(record.dice);
  json::object attempts;
  for (const auto& [ca, each] : record.attempts) attempts[ca] = attempts_object(each);
  set_unless_empty(out, "attempts", std::move(attempts));
  json::object left_out;
  for (const auto& [name, each] : record.left_out) left_out[name] = left_out_object(each);
  set_unless_empty(out, "left_out", std::move(left_out));
  put(out, "last_error", record.last_error);
  put(out, "revoked", record.revoked);
  put(out, "emergency", record.emergency);
  put(out, "key_compromised", record.key_compromised);
  return out;
}

/// What this version does not know goes back where it was; not if the object around it is gone.
void add_unknown(json::object& out, const json::object& unknown, int depth = 0) {
  static const std::set<std::string_view> with_members = {"spec", "renewal", "attempts", "left_out"};
  for (const auto& [name, value] : unknown) {
    json::value* present = out.if_contains(name);
    const bool is_around = (depth == 0 && with_members.contains(name)) || (present && present->is_object());
    if (!is_around && !present) out.emplace(name, value);
    if (is_around && present && present->is_object() && value.is_object())
      add_unknown(present->get_object(), value.get_object(), depth + 1);
  }
}

// ---- Limits ----

const std::vector<std::string>& scope_names() {
  static const std::vector<std::string> names = {"account", "registered_domain", "identifier_set", "identifier"};
  return names;
}

const std::vector<std::string>& counted_names() {
  static const std::vector<std::string> names = {"orders", "certificates", "failed_validations"};
  return names;
}

template <class Enum>
Enum read_enum(MemberReader& members, std::string_view member, const std::vector<std::string>& names) {
  std::string text;
  members.read(member, text);
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) {
    members.refuse(member, json_quoted(text) + " is not known" + manager::suggestion(text, names));
  }
  return static_cast<Enum>(found - names.begin());
}

RateLimit read_limit(const json::object& object, const std::string& where) {
  constexpr double largest_capacity = 1e9;
  constexpr seconds longest_window = std::chrono::hours(24 * 366);
  MemberReader members(object, where);
  RateLimit limit;
  members.read("name", limit.name);
  if (limit.name.empty() || printable(limit.name, 100) != limit.name || limit.name.find('|') != std::string::npos)
    members.refuse("name", "it is missing, or not a name");
  limit.scope = read_enum<RateLimit::Scope>(members, "scope", scope_names());
  limit.counts = read_enum<RateLimit::Counts>(members, "counts", counted_names());
  members.read("capacity", limit.capacity);
  if (!(limit.capacity >= 1 && limit.capacity <= largest_capacity))
    members.refuse("capacity", "it must be a number from 1 to 1,000,000,000");
  members.read("window", limit.window);
  if (limit.window < seconds(1) || limit.window > longest_window)
    members.refuse("window", "it must be from 1 second to 366 days");
  members.read("renewals_exempt", limit.renewals_exempt);
  members.read("ari_renewals_exempt", limit.ari_renewals_exempt);
  members.refuse_unknown();
  return limit;
}

std::vector<RateLimit> read_limits_of(const json::value& value, const std::string& ca) {
  if (!value.is_array()) throw JsonFault{ca + ": it is not a list of limits"};
  std::vector<RateLimit> limits;
  for (const json::value& each : value.get_array()) {
    const std::string where = ca + ": limit " + std::to_string(limits.size() + 1);
    if (!each.is_object()) throw JsonFault{where + ": it is not an object"};
    const json::value* name = each.get_object().if_contains("name");
    const std::string named = name && name->is_string() ? " (" + printable(name->get_string(), 60) + ")" : "";
    RateLimit limit = read_limit(each.get_object(), where + named + ": ");
    if (std::ranges::find(limits, limit.name, &RateLimit::name) != limits.end())
      throw JsonFault{where + named + ": the name is there twice"};
    limits.push_back(std::move(limit));
  }
  return limits;
}

}  // namespace

Result<CertificateSpec> spec_from_json(std::string_view text, SpecSource source) {
  constexpr std::string_view doing = "reading the specification of a certificate";
  try {
    const json::object object = parsed_object(text, "the specification");
    if (source == SpecSource::user) refuse_duplicates(text);
    MemberReader members(object, "");
    CertificateSpec spec = read_spec(members);
    if (source == SpecSource::user) members.refuse_unknown();
    if (const Result<void> checked = check_spec(spec); !checked) return checked.error();
    return spec;
  } catch (const JsonFault& fault) {
    return Error(Errc::invalid_argument, doing, fault.detail);
  }
}

std::string spec_to_json(const CertificateSpec& spec) { return serialized_object(spec_object(spec)); }

std::string encode(const CertificateRecord& record) {
  json::object object = record_object(record);
  boost::system::error_code failed;
  const json::value unknown = record.unknown.empty() ? json::value() : json::parse(record.unknown, failed);
  if (!failed && unknown.is_object()) add_unknown(object, unknown.get_object());
  if (!record.unknown.empty()) {
    try {
      (void)read_record(object);
    } catch (const JsonFault& fault) {
      throw Error(Errc::invalid_argument, "writing the record of a certificate", fault.detail);
    }
  }
  return serialized_object(object);
}

Result<CertificateRecord> decode_certificate_record(std::string_view value) {
  // A manager reads one for each of its certificates: what belongs to the JSON is on the stack.
  std::array<unsigned char, 8192> buffer;
  json::monotonic_resource memory(buffer.data(), buffer.size());
  try {
    return read_record(parsed_object(value, "the record", &memory));
  } catch (const JsonFault& fault) {
    return Error(Errc::io_failed, "reading the record of a certificate", fault.detail);
  }
}

Result<std::map<std::string, std::vector<RateLimit>>> rate_limits_from_json(std::string_view text) {
  try {
    std::map<std::string, std::vector<RateLimit>> limits;
    const json::object file = parsed_object(text, "the file");
    refuse_duplicates(text);
    for (const auto& [name, value] : file) {
      const std::string url = resolve_directory_url(name);
      const std::string ca = printable(name, 200);
      if (!url.starts_with("https://") && !url.starts_with("http://"))
        throw JsonFault{ca + ": it is neither a directory URL nor the short name of a CA"};
      if (!limits.emplace(url, read_limits_of(value, ca)).second) throw JsonFault{ca + ": the CA is there twice"};
    }
    return limits;
  } catch (const JsonFault& fault) {
    return Error(Errc::invalid_argument, "reading the limits of CAs", fault.detail);
  }
}

std::string RateLedger::to_json(std::string_view mark) const {
  const auto times = [](const std::map<std::string, Time>& by_name) {
    json::object out;
    // Rounded up: what was used is never forgotten too early. In milliseconds, as limits of many a second add up.
    for (const auto& [name, time] : by_name) {
      const std::int64_t since_epoch = std::chrono::ceil<milliseconds>(time.time_since_epoch()).count();
      out[name] = std::clamp<std::int64_t>(since_epoch, 0, latest_second * 1000);
    }
    return out;
  };
  json::object out;
  out["format"] = std::max<std::uint64_t>(format_, record_format);
  set_unless_empty(out, "empty_at", times(empty_at_));
  set_unless_empty(out, "refused_until", times(refused_until_));
  if (!mark.empty()) out["mark"] = mark;
  if (!unknown_.empty()) add_unknown(out, json::parse(unknown_).as_object());
  return serialized_object(out);
}

Result<RateLedger> RateLedger::from_json(std::string_view text, PublicSuffixes suffixes) {
  try {
    const json::object object = parsed_object(text, "the ledger");
    MemberReader members(object, "");
    RateLedger ledger(std::move(suffixes));
    members.read("format", ledger.format_);
    std::string mark;  // of whoever wrote it
    members.read("mark", mark);
    const auto read_times = [&members](std::string_view member, std::map<std::string, Time>& out) {
      const json::object* times = members.object(member);
      if (!times) return;
      for (const auto& [name, value] : *times) {
        std::uint64_t since_epoch = 0;
        if (!take_value(value, since_epoch))
          members.refuse(member, json_quoted(name) + " is not a time in milliseconds since 1970");
        const milliseconds bounded(std::min<std::uint64_t>(since_epoch, std::uint64_t{latest_second} * 1000));
        out[std::string(name)] = Time(bounded);
      }
    };
    read_times("empty_at", ledger.empty_at_);
    read_times("refused_until", ledger.refused_until_);
    if (const json::object unknown = members.unknown(); !unknown.empty()) ledger.unknown_ = json::serialize(unknown);
    return ledger;
  } catch (const JsonFault& fault) {
    return Error(Errc::io_failed, "reading what was used of a CA's limits", fault.detail);
  }
}

}  // namespace culmen
