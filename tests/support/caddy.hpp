// Caddy as an ACME CA: the code of smallstep's step-ca.
#pragma once

#include <memory>
#include <string>

#include "culmen/options.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"

namespace server_test {

/// Validates http-01 at port 80 of what the system resolves a name to: a test has to be in a network of its own.
class Caddy {
 public:
  Caddy();
  std::string directory_url() const;
  culmen::ClientOptions client_options() const;

 private:
  culmen::test::TemporaryFolder folder_;
  std::unique_ptr<cli_test::Process> process_;
};

}  // namespace server_test
