// Which files a key has: the layout of the state folder. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culmen::storage {

/// Where the value of a key is.
struct Place {
  enum class Kind {
    account,     ///< accounts/<server>/: account.key, account.json, account.key.new
    record,      ///< certificates/<id>/: record.json, and the link live
    pending,     ///< certificates/<id>/pending/: order.json, key.pem
    generation,  ///< certificates/<id>/<n>/: key.pem, fullchain.pem, cert.pem, chain.pem, meta.json
    unused_key,  ///< keys/unused/: a file
    other,       ///< state/: a file
  };
  Kind kind = Kind::other;
  std::string folder;            ///< Below the state folder.
  std::string file;              ///< Of unused_key and other.
  std::uint64_t generation = 0;  ///< Of a generation.
};

/// A total function of valid keys; different keys have different places.
Place place_of(std::string_view key);

/// The folder of a lease, below the state folder.
std::string lease_folder(std::string_view name);

// Names of folders and files are lists: one that would be too long for a file system continues in the next folder, and
// all but the last end in "+".

/// A long name as a path.
std::string split_name(std::string_view name);
/// Whether the name is the beginning of a longer one.
bool is_continued(std::string_view name);

/// The part of the key for a folder of that name below accounts/ or certificates/; nullopt: it is none of culmen's.
std::optional<std::string> account_part(std::string_view folder);
std::optional<std::string> certificate_part(std::string_view folder);
/// The key for a file of that name below state/; nullopt: it is none of culmen's.
std::optional<std::string> other_key(std::string_view file);
/// The number of a generation as it is written in keys and folders; nullopt: it is not one.
std::optional<std::uint64_t> generation_number(std::string_view text);

}  // namespace culmen::storage
