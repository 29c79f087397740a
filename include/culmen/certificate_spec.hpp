// The description of a certificate that is wanted.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/result.hpp"

namespace culmen {

/// What is wanted: the names, who is to issue for them, and how. A plain value. The only description of this kind: the
/// program's flags, the daemon's configuration, live TLS and the manager all make one.
///
/// With several key types there is one certificate for each, planned apart and delivered as one batch; their ids are
/// `id`, and `id` + "@" + what the type begins with, as in "example.com@rsa". If that is taken, the whole type, as in
/// "example.com@rsa:4096".
struct CertificateSpec {
  CertificateSpec() = default;
  explicit CertificateSpec(std::vector<std::string> names_) : names(std::move(names_)) {}
  bool operator==(const CertificateSpec&) const = default;

  /// Identifies the certificate in storage. Empty: the first name, "_wildcard.example.com" for "*.example.com".
  std::string id;
  /// DNS names, IP addresses; as for IssueRequest.
  std::vector<std::string> names;
  /// Directory URLs or short names of CAs, in order of preference. Empty: all of the manager's, in its order.
  std::vector<std::string> cas;
  /// As for create_key(); the first is the main one.
  std::vector<std::string> key_types{"ec:P-256"};

  /// "http-01", "tls-alpn-01", "dns-01"; empty: whatever a solver is there for.
  std::string challenge;
  /// How that challenge is solved, for who makes the solvers: "webroot", "port" and others. The manager does not read
  /// it.
  std::map<std::string, std::string> challenge_options;

  std::string profile;            ///< Empty: none.
  bool profile_required = false;  ///< Without it, a profile that the CA does not have is left out, with a warning.
  std::string preferred_chain;    ///< As in IssueRequest.
  bool must_staple = false;
  /// A name that the CA refuses is left out, with a warning, instead of no certificate for the others; it is tried
  /// again after an hour, later after longer pauses, up to a day. At least one name has to remain.
  bool allow_subset = false;
  bool reuse_key = false;  ///< Renewals keep the key. Ignored if it is known to be compromised.

  /// How long before the end to renew, in place of the rule by lifetime; at most nine tenths of the lifetime. The CA's
  /// renewal information goes before.
  std::optional<std::chrono::seconds> renew_before;
  bool use_renewal_info = true;  ///< Ask the CA when to renew (RFC 9773).
};

/// The id of a spec: its own, or the one made from the first name.
std::string id_of(const CertificateSpec& spec);
/// The ids of its certificates, one for each key type, in their order.
std::vector<std::string> certificate_ids(const CertificateSpec& spec);

/// Where a text comes from: members that culmen does not know are errors in what a user wrote, and are ignored in what
/// a newer version stored.
enum class SpecSource { user, stored };

/// A spec from a JSON object. Errors (invalid_argument) name the member, and for one that is not known the nearest that
/// is. An id, a name, a key type or a profile that is not valid is an error here, too.
Result<CertificateSpec> spec_from_json(std::string_view json, SpecSource source);
/// As a JSON object; members that have their default are left out.
std::string spec_to_json(const CertificateSpec& spec);
/// What is wrong with it, as spec_from_json() would say it (invalid_argument). Makes no keys and does no I/O.
Result<void> check_spec(const CertificateSpec& spec);

}  // namespace culmen
