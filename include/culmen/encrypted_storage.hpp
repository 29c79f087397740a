// Private keys encrypted at rest.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/storage.hpp"

namespace culmen {

/// A key that values are encrypted with. A plain value.
struct StorageKey {
  StorageKey(std::string id_, Bytes key_) : id(std::move(id_)), key(std::move(key_)) {}
  /// Stored with each value, to find the key again: 1 to 64 of lower-case letters, digits, '-', '_', '.'.
  std::string id;
  Bytes key;  ///< 32 octets, from a good source of randomness.
};

/// A storage that encrypts values before they reach `storage`, and decrypts them when they are read, by AES-256-GCM.
/// Only what has no private keys stays readable: the records of certificates, and what is below rates/, challenges/ and
/// leases/. A value can only be decrypted under the key of the storage that it was stored under.
///
/// Values are encrypted with the first of `keys`; the others are for values that were stored with them. To replace a
/// key, put the new one first, rewrite what has the old one, then leave the old one out. Values that are not encrypted
/// are read as they are, so that encryption can begin with a store in use. So this keeps secrets from who can read the
/// store; who can write to it can still put a key of their own in place of one.
///
/// Errors of reading are crypto_failed: a key that is not among `keys`, named by its id, or a value that its key does
/// not decrypt, or a value that a newer version encrypted. Throws Error (invalid_argument) if `storage` is nullptr or
/// `keys` is empty, has an id twice, or has a key or an id that is not
/// valid; or if `storage` is typed: files that other programs read cannot be encrypted. Thread-safe as `storage` is.
std::shared_ptr<Storage> encrypted_storage(std::shared_ptr<Storage> storage, std::vector<StorageKey> keys);

}  // namespace culmen
