// Lenient reading of what servers send: a member that is missing, null or of another type reads as "not there".
// Only for the .cpp files of this room.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "culmen/identifier.hpp"
#include "culmen/problem.hpp"
#include "culmen/result.hpp"

namespace culmen::protocol {

namespace json = boost::json;

/// Whether texts may have octets that are not UTF-8.
enum class TextOctets { utf8, any };
/// The body as a JSON object; bad_response otherwise.
Result<json::object> parse_object(std::string_view body, std::string_view doing, TextOctets octets = TextOctets::utf8);

const json::object* object_member(const json::object& object, std::string_view name);
const json::array* array_member(const json::object& object, std::string_view name);
std::string text_member(const json::object& object, std::string_view name);
std::vector<std::string> texts_member(const json::object& object, std::string_view name);
bool flag_member(const json::object& object, std::string_view name);
std::int64_t number_member(const json::object& object, std::string_view name, std::int64_t otherwise);
/// A duration in seconds, clamped to 0 … 100 years; 0 if it is missing.
std::chrono::seconds seconds_member(const json::object& object, std::string_view name);
std::optional<std::chrono::system_clock::time_point> time_member(const json::object& object, std::string_view name);
std::optional<Identifier> identifier_member(const json::object& object, std::string_view name);
Identifier read_identifier(const json::object& object);
Problem read_problem(const json::object& object);
std::optional<Problem> problem_member(const json::object& object, std::string_view name);

}  // namespace culmen::protocol
