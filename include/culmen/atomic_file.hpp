// Files that are seen old or new, never half.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace culmen {

/// Replaces `path` by `contents`: written beside it, synced, renamed over it, the folder synced. The file is born with
/// `mode` (octal). Throws Error (io_failed) and leaves the old file as it was.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents, unsigned mode = 0644);

/// The whole file; nullopt when there is none. Any other failure throws Error (io_failed): it is not "none".
/// Files over `limit` bytes are refused.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 16 << 20);

}  // namespace culmen
