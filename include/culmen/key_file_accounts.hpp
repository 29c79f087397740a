// An account in a key file of the user's, in place of the one in storage.
#pragma once

#include <filesystem>
#include <memory>

#include "culmen/storage.hpp"

namespace culmen {

/// `storage`, but with every account in `key_file` and, as for its URL, in "<key_file>.account-url"; the next key of a
/// rollover is in "<key_file>.new". Keys that are set aside are kept beside them, as "<key_file>.unused-<time>". A URL
/// of another host than the CA's is ignored: a key may be used with several CAs. Leases, and what list() returns, are
/// those of `storage`.
///
/// A missing file is an account that does not exist yet. Files are replaced atomically, and written with mode 0600.
/// Errors name the file: io_failed, crypto_failed for what is not a private key, conflict, and invalid_argument for
/// removing an account. Thread-safe as `storage` is; two writers at the same moment may both succeed, unless they hold
/// the account's lease, as all functions of culmen do.
std::shared_ptr<Storage> with_key_file_account(std::shared_ptr<Storage> storage, std::filesystem::path key_file);

}  // namespace culmen
