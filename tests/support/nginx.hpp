// nginx as the TLS server in front of a test CA.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "culmen/options.hpp"
#include "culmen/test_ca.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"

namespace server_test {

struct NginxOptions {
  bool http2 = true;
  int keepalive_requests = 1000;          // then it ends the connection: with HTTP/2, by GOAWAY
  std::string keepalive_timeout = "75s";  // "20ms"
};

/// Listens at 127.0.0.2, with the port that the test CA has at 127.0.0.1: the URLs of the CA stay as they are, and a
/// client goes through nginx that resolves 127.0.0.1 as 127.0.0.2.
class Nginx {
 public:
  explicit Nginx(const culmen::TestCa& ca, const NginxOptions& options = {});
  /// Of a client that goes through this nginx.
  culmen::ClientOptions client_options() const;

  /// A line of its log.
  struct Exchange {
    int connection = 0;
    int number = 0;  // within the connection, from 1
    std::string protocol;
    int status = 0;
    std::string request;
  };
  std::vector<Exchange> exchanges() const;

 private:
  culmen::test::TemporaryFolder folder_;
  std::uint16_t port_;
  std::unique_ptr<cli_test::Process> process_;
};

}  // namespace server_test
