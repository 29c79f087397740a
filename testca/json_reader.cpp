#include "testca/json_reader.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "testca/problem.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

std::size_t count_members(const json::value& value) {
  std::size_t count = 0;
  if (const json::object* object = value.if_object()) {
    count += object->size();
    for (const auto& member : *object) count += count_members(member.value());
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& element : *array) count += count_members(element);
  }
  return count;
}

/// How many `"name":` stand in a text that is known to be JSON.
std::size_t count_names(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '"') continue;
    for (++i; i < text.size() && text[i] != '"'; ++i)
      if (text[i] == '\\') ++i;
    std::size_t next = text.find_first_not_of(" \t\r\n", i + 1);
    if (next != std::string_view::npos && text[next] == ':') ++count;
  }
  return count;
}

const json::value* member(const json::object& object, std::string_view name) { return object.if_contains(name); }

Refusal wrong_type(std::string_view name, std::string_view expected) {
  return malformed("\"" + std::string(name) + "\" must be " + std::string(expected));
}

Refusal missing(std::string_view name) { return malformed("\"" + std::string(name) + "\" is missing"); }

}  // namespace

json::object read_object(std::string_view text, std::string_view what) {
  boost::system::error_code failure;
  json::value value = json::parse(text, failure);
  if (failure) throw malformed(std::string(what) + " is not JSON: " + failure.message());
  if (!value.is_object()) throw malformed(std::string(what) + " is not a JSON object");
  // Boost.JSON lets the last of two members of one name win; a signature must not cover two readings.
  if (count_names(text) != count_members(value)) throw malformed(std::string(what) + " has a member twice");
  return std::move(value.get_object());
}

std::optional<std::string> string_member(const json::object& object, std::string_view name) {
  const json::value* found = member(object, name);
  if (!found) return std::nullopt;
  if (!found->is_string()) throw wrong_type(name, "a string");
  return std::string(found->get_string());
}

std::optional<bool> bool_member(const json::object& object, std::string_view name) {
  const json::value* found = member(object, name);
  if (!found) return std::nullopt;
  if (!found->is_bool()) throw wrong_type(name, "true or false");
  return found->get_bool();
}

std::optional<std::vector<std::string>> string_list_member(const json::object& object, std::string_view name) {
  const json::value* found = member(object, name);
  if (!found) return std::nullopt;
  if (!found->is_array()) throw wrong_type(name, "an array of strings");
  std::vector<std::string> list;
  for (const json::value& element : found->get_array()) {
    if (!element.is_string()) throw wrong_type(name, "an array of strings");
    list.emplace_back(element.get_string());
  }
  return list;
}

const json::object* object_member(const json::object& object, std::string_view name) {
  const json::value* found = member(object, name);
  if (!found) return nullptr;
  if (!found->is_object()) throw wrong_type(name, "an object");
  return &found->get_object();
}

std::string required_string(const json::object& object, std::string_view name) {
  auto found = string_member(object, name);
  if (!found) throw missing(name);
  return *found;
}

Bytes required_base64url(const json::object& object, std::string_view name) {
  auto octets = base::base64url_decode(required_string(object, name));
  // RFC 8555 §6.1: "Encoded values that include trailing '=' characters MUST be rejected as improperly encoded."
  if (!octets) throw malformed("\"" + std::string(name) + "\" is not base64url without padding");
  return *octets;
}

}  // namespace culmen::testca
