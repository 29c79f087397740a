// http-01 (RFC 8555 §8.3): real fetches, on a thread of their own.
#pragma once

#include <memory>

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

}  // namespace culmen::testca
