#include "json_object.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "culmen/error.hpp"

namespace culmen::cli {

namespace json = boost::json;

namespace {

/// Whether a terminal would obey that code point, such as one that turns the direction of text, which JSON may have as
/// it is. What is not UTF-8 is not one.
bool is_control(const std::string& code_point) {
  if (code_point.size() == 1) return code_point[0] == 0x7f;
  return printable(code_point) == "?";
}

/// Of one to three octets of UTF-8.
std::string escaped(const std::string& code_point) {
  const auto octet = [&](std::size_t at) { return static_cast<unsigned char>(code_point[at]); };
  const unsigned value = code_point.size() == 1 ? octet(0)
                         : code_point.size() == 2
                             ? (octet(0) & 0x1fu) << 6 | (octet(1) & 0x3fu)
                             : (octet(0) & 0x0fu) << 12 | (octet(1) & 0x3fu) << 6 | (octet(2) & 0x3fu);
  std::array<char, 7> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", value);
  return text.data();
}

}  // namespace

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

std::string JsonObject::serialized() const {
  const std::string plain = json::serialize(members_->object);
  std::string text;
  for (std::size_t at = 0, length = 0; at < plain.size(); at += length) {
    const auto lead = static_cast<unsigned char>(plain[at]);
    length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const std::string piece = plain.substr(at, length);
    text += is_control(piece) ? escaped(piece) : piece;
  }
  return text;
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
