// dns-01, dns-account-01 and dns-persist-01: real look-ups at the server of TestCaOptions::dns_server.
#pragma once

#include <memory>

#include "culmen/test_ca.hpp"
#include "testca/acme_server.hpp"

namespace culmen::testca {

/// Starts look-ups and reports what came of each, from a thread of its own. Destroying it abandons those that run.
class DnsValidator {
 public:
  /// Throws Error (invalid_argument) when `dns_server` is not empty and not ADDRESS:PORT.
  static void check(const TestCaOptions& options);
  /// Throws as check() does.
  explicit DnsValidator(const TestCaOptions& options);
  ~DnsValidator();

  /// Returns at once; `done` is called from the validator's thread.
  void validate(const ValidationJob& job, ValidationDone done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether the TXT values at "_validation-persist.<domain>" let the account of `job` have the name
/// (draft-ietf-acme-dns- persist): nullopt, or why not. `now` in UNIX seconds.
std::optional<Problem> judge_persist_records(const ValidationJob& job, const std::vector<std::string>& values,
                                             std::int64_t now);

}  // namespace culmen::testca
