// Values of a file storage, and the files that they are kept in. For who holds the lock, or checks afterwards that
// nothing was changed meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/storage.hpp"
#include "storage/file_layout.hpp"
#include "storage/folder.hpp"

namespace culmen::storage {

using Warn = std::function<void(const std::string&)>;

/// The contents of the files of a place, by name; the target of a link.
using PlaceFiles = std::map<std::string, std::string>;

inline constexpr const char* live_link = "live";

/// What is kept with a value.
struct Stamp {
  std::string revision;  ///< Random, so that no revision ever comes back.
  std::string lease;     ///< Of the fence of the last write; empty: it had none.
  std::uint64_t token = 0;
  std::optional<std::chrono::system_clock::time_point> expires_at;
};
/// With a new revision.
Stamp make_stamp(const std::optional<Lease>& fence);

struct FileValue {
  StoredValue stored;
  Stamp stamp;
};

/// Empty if there are none.
/// Whether `live` of that certificate is a folder with what one of its generations has.
bool is_copy_of_generation(const Folder& root, const Place& place);
PlaceFiles read_place(const Folder& root, const Place& place, const Warn& warn);
/// The same without an error: what cannot be read is left out.
PlaceFiles readable_files(const Folder& root, const Place& place);
/// nullopt if the files are no value. Throws Error (io_failed), which names the file, if they are damaged.
std::optional<FileValue> value_of(const Folder& root, const Place& place, const PlaceFiles& files);
/// The files for a value. Throws Error (invalid_argument) if the value is not one for this place.
PlaceFiles files_of(const Place& place, const std::string& value, const Stamp& stamp);

/// The generation that `live` points to; nullopt if there is no link. `folder` is that of a certificate.
std::optional<std::uint64_t> live_generation(const Folder& root, const std::string& folder);
/// The largest number of a generation's folder; 0 if there is none.
std::uint64_t largest_generation(const Folder& root, const std::string& folder);

/// Whether a file of that name has a private key.
bool holds_key(const std::string& name);
/// Of a new file, if there is none to take it from.
mode_t mode_of_file(const std::string& name);

}  // namespace culmen::storage
