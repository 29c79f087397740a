// Reading what clients send: JSON objects, member by member, with refusals that say what is wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "culmen/bytes.hpp"

namespace culmen::testca {

/// A JSON object without duplicate names at any depth. `what` names it in the Refusal (malformed).
boost::json::object read_object(std::string_view text, std::string_view what);

// Members; nullopt (or nullptr) when absent, a Refusal when of another type.
std::optional<std::string> string_member(const boost::json::object& object, std::string_view name);
std::optional<bool> bool_member(const boost::json::object& object, std::string_view name);
std::optional<std::vector<std::string>> string_list_member(const boost::json::object& object, std::string_view name);
const boost::json::object* object_member(const boost::json::object& object, std::string_view name);

// The same for what must be there.
std::string required_string(const boost::json::object& object, std::string_view name);
/// Strict base64url.
Bytes required_base64url(const boost::json::object& object, std::string_view name);

}  // namespace culmen::testca
