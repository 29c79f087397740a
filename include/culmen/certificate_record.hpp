// What is remembered about a certificate between two runs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/certificate_spec.hpp"
#include "culmen/planner.hpp"
#include "culmen/renewal_info.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// A name that is wanted, and that the certificate does without because the CA refused it. A plain value.
struct LeftOutName {
  LeftOutName() = default;
  bool operator==(const LeftOutName&) const = default;
  planner::Time since;
  planner::Time next_try;
  unsigned tries = 0;  ///< That failed, in a row.
  std::string why;     ///< What the CA said the last time, for people.
};

/// The record of one certificate, under certificate_record_key(). A plain value. It says which generation counts; a
/// generation without a record that names it is litter.
struct CertificateRecord {
  CertificateRecord() = default;
  std::uint64_t live = 0;               ///< The generation that counts; 0: none yet.
  std::uint64_t last_generation = 0;    ///< The largest number that was ever used.
  std::optional<CertificateSpec> spec;  ///< How it was asked for the last time.

  // Of the live generation.
  std::vector<std::string> names;
  std::string key_type;
  std::string server;   ///< The directory URL of the CA.
  std::string account;  ///< The URL of the account.
  /// What was asked for, CertificateSpec::profile and must_staple; absent: not known, as for an imported certificate.
  std::optional<std::string> profile;
  std::optional<bool> must_staple;
  std::optional<planner::Time> not_before, not_after;
  std::string certificate_id;  ///< CertID (RFC 9773 §4.1), or empty.
  RenewalState renewal;
  double dice = 0.5;  ///< As in planner::Situation. Absent: that of `renewal`.

  std::map<std::string, planner::Attempts> attempts;  ///< By directory URL.
  std::string last_error;                             ///< Of the last attempt, for people; empty after a success.
  std::map<std::string, LeftOutName> left_out;        ///< By name; see CertificateSpec::allow_subset.
  std::string revoked;                                ///< When it was revoked, as text; empty: it was not.
  std::string emergency;                              ///< Why it has to be replaced at once; empty: it does not.
  bool key_compromised = false;                       ///< The key must not be used again, and no order with it resumed.
  /// Members not known to this version, as a JSON object, or empty; also those of members that are objects.
  std::string unknown;
};

/// The value for storage, and back. Times are UNIX seconds. The reader's error is io_failed, and says what is wrong,
/// but not with which key. Members that are absent have their defaults, so that records made from older files are
/// valid. Numbers of generations are at most 10^15. encode() throws Error (invalid_argument) if `unknown` has a member
/// that is known and does not fit. The spec is not checked as check_spec() does: another host may know key types that
/// this one does not.
std::string encode(const CertificateRecord& record);
Result<CertificateRecord> decode_certificate_record(std::string_view value);

}  // namespace culmen
