// http-01 (RFC 8555 §8.3) and tls-alpn-01 (RFC 8737): real connections.
#pragma once

#include <memory>
#include <string>

#include "culmen/test_ca.hpp"
#include "testca/acme_server.hpp"

namespace culmen::testca {

/// Starts fetches and reports what came of each. Destroying it abandons those that run.
class Http01Validator {
 public:
  explicit Http01Validator(const TestCaOptions& options);
  ~Http01Validator();

  /// Returns at once; `done` is called from the validator's thread.
  void validate(const ValidationJob& job, ValidationDone done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same for tls-alpn-01: handshakes.
class TlsAlpn01Validator {
 public:
  explicit TlsAlpn01Validator(const TestCaOptions& options);
  ~TlsAlpn01Validator();

  void validate(const ValidationJob& job, ValidationDone done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Why that certificate does not answer the challenge (RFC 8737 §3); empty when it does.
std::string fault_of_alpn_certificate(ByteView certificate, const ValidationJob& job);

}  // namespace culmen::testca
