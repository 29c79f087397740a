#include "protocol/json_reader.hpp"

#include <algorithm>

#include "base/time.hpp"

namespace culmen::protocol {

namespace {
constexpr int max_problem_depth = 3;
constexpr std::size_t max_subproblems = 200;

Problem read_problem_at(const json::object& object, int depth) {
  Problem problem;
  if (std::string type = text_member(object, "type"); !type.empty()) problem.type = std::move(type);
  problem.detail = text_member(object, "detail");
  if (problem.detail.empty()) problem.detail = text_member(object, "title");
  problem.instance = text_member(object, "instance");
  problem.status = static_cast<int>(number_member(object, "status", 0));
  problem.identifier = identifier_member(object, "identifier");
  problem.algorithms = texts_member(object, "algorithms");
  const json::array* subproblems = array_member(object, "subproblems");
  if (!subproblems || depth == max_problem_depth) return problem;
  for (const json::value& value : *subproblems) {
    if (problem.subproblems.size() == max_subproblems) break;
    if (const json::object* sub = value.if_object()) problem.subproblems.push_back(read_problem_at(*sub, depth + 1));
  }
  return problem;
}
}  // namespace

Result<json::object> parse_object(std::string_view body, std::string_view doing, TextOctets octets) {
  boost::system::error_code failure;
  json::parse_options options;
  options.allow_invalid_utf8 = octets == TextOctets::any;
  // One block of memory for all of it, in place of one for each member.
  json::value value = json::parse(body, failure, json::make_shared_resource<json::monotonic_resource>(), options);
  if (failure) return Error(Errc::bad_response, doing, "the answer is not JSON: " + printable(body, 80));
  json::object* object = value.if_object();
  if (!object) return Error(Errc::bad_response, doing, "the answer is JSON, but not an object");
  return std::move(*object);
}

const json::object* object_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value ? value->if_object() : nullptr;
}

const json::array* array_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value ? value->if_array() : nullptr;
}

std::string text_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const json::string* text = value ? value->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

std::vector<std::string> texts_member(const json::object& object, std::string_view name) {
  std::vector<std::string> texts;
  if (const json::array* array = array_member(object, name)) {
    for (const json::value& value : *array) {
      if (const json::string* text = value.if_string()) texts.emplace_back(*text);
    }
  }
  return texts;
}

bool flag_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const bool* flag = value ? value->if_bool() : nullptr;
  return flag && *flag;
}

std::int64_t number_member(const json::object& object, std::string_view name, std::int64_t otherwise) {
  const json::value* value = object.if_contains(name);
  if (!value || !value->is_number()) return otherwise;
  boost::system::error_code failure;
  const auto number = value->to_number<std::int64_t>(failure);
  return failure ? otherwise : number;
}

std::chrono::seconds seconds_member(const json::object& object, std::string_view name) {
  constexpr std::chrono::seconds longest =
      std::chrono::years(100);  // longer ones overflow when they are added to times
  return std::chrono::seconds(std::clamp<std::int64_t>(number_member(object, name, 0), 0, longest.count()));
}

std::optional<std::chrono::system_clock::time_point> time_member(const json::object& object, std::string_view name) {
  const std::string text = text_member(object, name);
  if (text.empty()) return std::nullopt;
  return base::parse_rfc3339(text);
}

Identifier read_identifier(const json::object& object) {
  Identifier identifier(text_member(object, "type"), text_member(object, "value"));
  if (identifier.type == "onion") identifier.type = "dns";  // as RFC 9799 §2 calls it: see OrderRequest
  return identifier;
}

std::optional<Identifier> identifier_member(const json::object& object, std::string_view name) {
  const json::object* member = object_member(object, name);
  if (!member) return std::nullopt;
  return read_identifier(*member);
}

Problem read_problem(const json::object& object) { return read_problem_at(object, 0); }

std::optional<Problem> problem_member(const json::object& object, std::string_view name) {
  const json::object* member = object_member(object, name);
  if (!member) return std::nullopt;
  return read_problem(*member);
}

}  // namespace culmen::protocol
