// --account-key: an account in a key file of the user's, in place of the one in storage.
#pragma once

#include <filesystem>
#include <memory>

#include "culmen/storage.hpp"

namespace culmen::cli {

/// `storage`, but with every account in `key_file` and, as for its URL, in "<key_file>.account-url"; the next key of a
/// rollover is in "<key_file>.new". Keys that are set aside are kept beside them, as "<key_file>.unused-<time>". A URL
/// of another host than the CA's is ignored: a key may be used with several CAs.
std::shared_ptr<Storage> with_key_file_account(std::shared_ptr<Storage> storage, std::filesystem::path key_file);

}  // namespace culmen::cli
