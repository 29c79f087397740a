// check_spec() for many specs.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "culmen/certificate_spec.hpp"

namespace culmen::manager {

/// Finds out once whether OpenSSL has the keys of a type, which takes it longer than all else that is checked.
class SpecChecker {
 public:
  /// certificate_ids(spec), or the error of check_spec(spec).
  Result<std::vector<std::string>> ids(const CertificateSpec& spec);

 private:
  std::set<std::string> available_key_types_;
};

}  // namespace culmen::manager
