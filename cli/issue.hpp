// culmen issue, for those who issue as well: from names to a certificate on disk.
#pragma once

#include <string>
#include <vector>

#include "certificate_store.hpp"
#include "challenge_solvers.hpp"
#include "client_options.hpp"

namespace culmen::cli {

struct IssueFlags {
  IssueFlags() = default;
  ServerFlags server;
  AccountFlags account;
  std::vector<std::string> domains;
  std::string name;
  std::string out;
  std::string cert_key;
  std::string cert_key_type = "ec:P-256";
  bool cert_key_type_given = false;
  std::string challenge = "http-01";
  int http_port = 80;
  std::string http_address;
  int tls_port = 443;
  std::string tls_address;
  std::string webroot;
  ChallengeFlags challenge_flags;  ///< Of challenges that need no server.
  std::string profile;
  bool must_staple = false;
  std::vector<std::string> ancestors;  ///< Domains to be proven in place of names below them (RFC 9444).
  std::string csr;                     ///< A file: then there is no state folder, only `out`.
  std::string preferred_chain;
  bool force = false;
  std::string reason;  ///< Why it is issued now, when another command says so; empty: for this one to find out.
};

/// Returns the exit code. Throws Error and Failure.
int run_issue(const IssueFlags& flags, Output& output);

/// The flags with which that certificate was issued. Throws Failure when it does not say.
IssueFlags flags_of(const StoredCertificate& live, const CertificateFolder& folder);

}  // namespace culmen::cli
