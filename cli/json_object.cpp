#include "json_object.hpp"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "culmen/error.hpp"

namespace culmen::cli {

namespace json = boost::json;

namespace {

/// Takes a code point from the front of a text; nullopt, and one octet taken, when there is none.
std::optional<std::uint32_t> take_code_point(std::string_view& text) {
  const auto octet = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = octet(0);
  std::size_t octets = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (octets > text.size()) octets = 0;
  std::uint32_t value = octets <= 1 ? lead : lead & (0x7fu >> octets);
  for (std::size_t i = 1; i < octets; ++i) {
    if ((octet(i) & 0xc0) != 0x80) {
      octets = 0;
      break;
    }
    value = value << 6 | (octet(i) & 0x3fu);
  }
  constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
  const bool is_valid = octets > 0 && value >= smallest[octets] && value <= 0x10ffff && !is_surrogate;
  text.remove_prefix(is_valid ? octets : 1);
  return is_valid ? std::optional(value) : std::nullopt;
}

/// What readers do not see, or see in another order: controls, and characters that turn the direction of text.
bool is_unseen(std::uint32_t c) {
  return (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

std::string escape_of(std::uint32_t c) {
  constexpr char digits[] = "0123456789abcdef";
  return {'\\', 'u', digits[c >> 12 & 15], digits[c >> 8 & 15], digits[c >> 4 & 15], digits[c & 15]};
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    if (!take_code_point(text)) return false;
  }
  return true;
}

struct JsonObject::Members {
  json::object object;
};

JsonObject::JsonObject() : members_(std::make_unique<Members>()) {}
JsonObject::JsonObject(const JsonObject& other) : members_(std::make_unique<Members>(*other.members_)) {}
JsonObject::JsonObject(JsonObject&& other) noexcept = default;
JsonObject& JsonObject::operator=(const JsonObject& other) { return *this = JsonObject(other); }
JsonObject& JsonObject::operator=(JsonObject&& other) noexcept = default;
JsonObject::~JsonObject() = default;

std::optional<JsonObject> JsonObject::parse(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed || !value.is_object()) return std::nullopt;
  JsonObject parsed;
  parsed.members_->object = std::move(value.get_object());
  return parsed;
}

bool JsonObject::has_only_utf8() const { return is_utf8(json::serialize(members_->object)); }

std::string JsonObject::serialized() const {
  const std::string text = json::serialize(members_->object);
  // What is not ASCII is in strings.
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view before = rest;
    const std::optional<std::uint32_t> c = take_code_point(rest);
    const std::string_view taken = before.substr(0, before.size() - rest.size());
    out += c && !is_unseen(*c) ? std::string(taken) : escape_of(c.value_or(0xfffd));
  }
  return out;
}

void JsonObject::set(std::string_view name, std::string_view text) { members_->object[name] = text; }

void JsonObject::set(std::string_view name, const char* text) { members_->object[name] = text; }

void JsonObject::set(std::string_view name, bool flag) { members_->object[name] = flag; }

void JsonObject::set(std::string_view name, int number) { members_->object[name] = number; }

void JsonObject::set(std::string_view name, std::int64_t number) { members_->object[name] = number; }

void JsonObject::set(std::string_view name, const std::vector<std::string>& texts) {
  members_->object[name] = json::array(texts.begin(), texts.end());
}

void JsonObject::set(std::string_view name, const JsonObject& object) {
  members_->object[name] = object.members_->object;
}

void JsonObject::set(std::string_view name, const std::vector<JsonObject>& objects) {
  json::array array;
  for (const JsonObject& object : objects) array.push_back(object.members_->object);
  members_->object[name] = std::move(array);
}

void JsonObject::copy(std::string_view name, const JsonObject& from) {
  if (const json::value* value = from.members_->object.if_contains(name)) members_->object[name] = *value;
}

void JsonObject::copy_all(const JsonObject& from) {
  for (const auto& [name, value] : from.members_->object) members_->object[name] = value;
}

void JsonObject::erase(std::string_view name) { members_->object.erase(name); }

std::string JsonObject::text(std::string_view name) const {
  const json::value* value = members_->object.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool JsonObject::flag(std::string_view name) const {
  const json::value* value = members_->object.if_contains(name);
  return value && value->is_bool() && value->get_bool();
}

int JsonObject::number(std::string_view name, int otherwise) const {
  return static_cast<int>(number(name, std::int64_t{otherwise}));
}

std::int64_t JsonObject::number(std::string_view name, std::int64_t otherwise) const {
  const json::value* value = members_->object.if_contains(name);
  return value && value->is_int64() ? value->get_int64() : otherwise;
}

std::vector<std::string> JsonObject::texts(std::string_view name) const {
  std::vector<std::string> out;
  const json::value* list = members_->object.if_contains(name);
  if (!list || !list->is_array()) return out;
  for (const json::value& value : list->get_array()) {
    if (value.is_string()) out.emplace_back(value.get_string());
  }
  return out;
}

JsonObject JsonObject::object(std::string_view name) const {
  JsonObject out;
  const json::value* value = members_->object.if_contains(name);
  if (value && value->is_object()) out.members_->object = value->get_object();
  return out;
}

std::string JsonObject::type_of(std::string_view name) const {
  const json::value* value = members_->object.if_contains(name);
  if (!value) return {};
  if (value->is_string()) return "text";
  if (value->is_int64()) return "number";
  if (value->is_bool()) return "flag";
  if (value->is_array()) return "list";
  return value->is_object() ? "object" : "other";
}

bool JsonObject::includes(const JsonObject& other) const {
  const json::object& theirs = other.members_->object;
  return std::all_of(theirs.begin(), theirs.end(), [this](const json::key_value_pair& member) {
    const json::value* ours = members_->object.if_contains(member.key());
    return ours && *ours == member.value();
  });
}

}  // namespace culmen::cli
