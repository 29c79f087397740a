// Which file systems have locks that exclude each other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace culmen::storage {

/// Whether a file system of that type (statfs) may be one that has not, so that its name decides.
bool needs_mount_name(std::uint64_t type) noexcept;
/// The name of the file system on that device, such as "nfs4", in the text of /proc/self/mountinfo; empty if unknown.
std::string mount_name(std::string_view mountinfo, unsigned major, unsigned minor);
/// What it is called, if it is refused; empty if not. `name` is mount_name().
std::string refused_file_system(std::uint64_t type, std::string_view name);

/// The same for an open folder. Throws Error (io_failed) if the system does not say.
std::string refused_file_system_of(int folder, const std::string& doing);

}  // namespace culmen::storage
