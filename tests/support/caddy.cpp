#include "support/caddy.hpp"

#include "support/test_certificates.hpp"
#include "support/unpacked_server.hpp"

namespace server_test {

namespace {
constexpr int caddy_port = 9443;  // in a network of the test's own every port is free
}

Caddy::Caddy() {
  using namespace culmen::test;
  const Identity root = make_identity("Root of Caddy", "", nullptr);
  const Identity leaf = make_identity("Caddy", "IP:127.0.0.1", &root);
  folder_.write("root.pem", root.certificate_pem());
  const std::string certificate = folder_.write("certificate.pem", leaf.certificate_pem());
  const std::string key =
      folder_.write("key.pem", pem_of([&leaf](BIO* bio) {
                      return PEM_write_bio_PrivateKey(bio, leaf.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
                    }));
  const std::string file = folder_.write("Caddyfile", R"({
  admin off
  storage file_system )" + (folder_ / "store").string() + R"(
  default_bind 127.0.0.1
  auto_https disable_redirects
  skip_install_trust
}
https://127.0.0.1:)" + std::to_string(caddy_port) + " {\n  tls " +
                                                          certificate + " " + key + R"(
  acme_server
}
)");
  process_ = start("caddy", {"run", "--config", file, "--adapter", "caddyfile"},
                   [] { return is_listening("127.0.0.1", caddy_port); });
}

std::string Caddy::directory_url() const {
  return "https://127.0.0.1:" + std::to_string(caddy_port) + "/acme/local/directory";
}

culmen::ClientOptions Caddy::client_options() const {
  culmen::ClientOptions options;
  options.transport.extra_root_file = (folder_ / "root.pem").string();
  return options;
}

}  // namespace server_test
