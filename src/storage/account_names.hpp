// Names of users and groups.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace culmen::storage {

// For messages: the number, if there is no name.
std::string user_name(uid_t user);
std::string group_name(gid_t group);
/// By name or number; nullopt: there is no such group.
std::optional<gid_t> find_group(const std::string& text);
/// The command for an administrator that lets this process give files to the group.
std::string join_command(gid_t group);

}  // namespace culmen::storage
