// What culmen keeps in a Storage, and under which keys. docs/storage.md has the table.
//
// Every record is a JSON object with a `format`. Members that this version does not know are kept when it is written
// again, so that an older version does not destroy what a newer one has added. A record whose format is newer than
// `record_format` is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/result.hpp"

namespace culmen {

/// The format that this version writes, and the newest that it reads.
inline constexpr int record_format = 1;

/// An account at a CA: its key, its URL, and the next key while a rollover is in progress. A plain value.
struct AccountRecord {
  AccountRecord() = default;
  std::string key_pem;
  std::string next_key_pem;   ///< Until the CA has answered; empty otherwise.
  std::string url;            ///< Empty until the CA has answered.
  std::string directory_url;  ///< Empty in records of older versions.
  std::string unknown;        ///< Members not known to this version, as a JSON object, or empty.
};

/// A certificate as it was issued, with its key. Never changed after it was written. A plain value.
struct Generation {
  Generation() = default;
  std::string key_pem;    ///< Empty if the key is not culmen's: a certificate for a CSR.
  std::string chain_pem;  ///< Leaf first.
  /// About the certificate: names, key_type, server, account, order, certificate and others, as a JSON object.
  std::string meta = "{}";
};

/// An order in progress, so that the next run can go on with it. A plain value.
struct PendingOrder {
  PendingOrder() = default;
  std::string order_url;
  std::string server;  ///< The directory URL of the CA.
  std::string account;
  std::vector<std::string> names;
  std::string key_type;
  std::string profile;  ///< Empty: none.
  bool must_staple = false;
  std::string replaces;  ///< CertID of the predecessor, if the order named it.
  std::string key_pem;   ///< From before the order is finalized; empty before that.
  std::string unknown;   ///< As in AccountRecord.
};

// Values of records, and back. encode() throws Error (invalid_argument) what could not be read again: `meta` or
// `unknown` is not a JSON object, `unknown` has a member that is known, a text is not UTF-8.
// The readers' errors are io_failed, and say what is wrong, but not with which key.
std::string encode(const AccountRecord& record);
std::string encode(const Generation& generation);
std::string encode(const PendingOrder& order);
Result<AccountRecord> decode_account(std::string_view value);
Result<Generation> decode_generation(std::string_view value);
Result<PendingOrder> decode_pending_order(std::string_view value);

// ---- Keys ----

/// Host and path of a directory URL as one part of a key; different URLs have different parts. Its storage_part_text()
/// is the name of the CA's folder below accounts/, such as "localhost%3A14000_dir".
std::string server_part(std::string_view directory_url);
/// "accounts/<server>", the lease of the account, and "accounts/<server>/account", its record.
std::string account_lease(std::string_view directory_url);
std::string account_key_of(std::string_view directory_url);
/// "certificates/<id>": the lease of the certificate. `id` may be any text.
std::string certificate_lease(std::string_view id);
/// "certificates/<id>/record", "…/pending" and "…/<number>".
std::string certificate_record_key(std::string_view id);
std::string pending_order_key(std::string_view id);
std::string generation_key(std::string_view id, std::uint64_t number);
/// "challenges/<type>/<token or name>".
std::string challenge_key(std::string_view type, std::string_view token);
/// "rates/<server>/<account>".
std::string rates_key(std::string_view directory_url, std::string_view account_url);
/// "keys/unused/<time>-<thumbprint>", in lower case: keys that could still be needed are kept there as PEM, and never
/// removed by culmen. `time` in UTC as 20261127T203000Z, `thumbprint` in hexadecimal digits.
std::string unused_key_of(std::string_view time, std::string_view thumbprint);

}  // namespace culmen
