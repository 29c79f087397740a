#include "support/nginx.hpp"

#include <sstream>

#include "support/test_certificates.hpp"
#include "support/unpacked_server.hpp"

namespace server_test {

namespace {

constexpr const char* listen_address = "127.0.0.2";

std::string configuration(const NginxOptions& options, std::uint16_t port) {
  const std::string at_port = ":" + std::to_string(port);
  std::string text = R"(
daemon off;
master_process off;
pid pid;
error_log error.log;
events { worker_connections 512; }
http {
  log_format exchanges "$connection $connection_requests $server_protocol $status $request";
  access_log access.log exchanges;
  client_body_temp_path bodies;
  proxy_temp_path proxied;
  fastcgi_temp_path unused1;
  uwsgi_temp_path unused2;
  scgi_temp_path unused3;
  server {
)";
  text += std::string("    listen ") + listen_address + at_port + " ssl" + (options.http2 ? " http2" : "") + ";\n";
  text += "    keepalive_requests " + std::to_string(options.keepalive_requests) + ";\n";
  text += "    keepalive_timeout " + options.keepalive_timeout + ";\n";
  // It passes each request once: what the CA counts is what clients sent.
  text += R"(    ssl_certificate certificate.pem;
    ssl_certificate_key key.pem;
    proxy_next_upstream off;
    proxy_http_version 1.1;
    location / { proxy_pass https://127.0.0.1)";
  return text + at_port + "; }\n  }\n}\n";
}

std::uint16_t port_of(const std::string& url) {
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

}  // namespace

Nginx::Nginx(const culmen::TestCa& ca, const NginxOptions& options) : port_(port_of(ca.directory_url())) {
  using namespace culmen::test;
  const Identity root = make_identity("Root of nginx", "", nullptr);
  const Identity leaf = make_identity("nginx", "IP:127.0.0.1", &root);
  folder_.write("root.pem", root.certificate_pem());
  folder_.write("certificate.pem", leaf.certificate_pem());
  folder_.write("key.pem", pem_of([&leaf](BIO* bio) {
                  return PEM_write_bio_PrivateKey(bio, leaf.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
                }));
  const std::string file = folder_.write("nginx.conf", configuration(options, port_));
  process_ = start("nginx", {"-p", folder_.path().string(), "-c", file, "-e", (folder_ / "error.log").string()},
                   [this] { return is_listening(listen_address, port_); });
}

culmen::ClientOptions Nginx::client_options() const {
  culmen::ClientOptions options;
  options.transport.extra_root_file = (folder_ / "root.pem").string();
  options.transport.only_extra_root = true;  // not the root of the CA's own TLS: there is no way around nginx
  options.transport.resolve = "127.0.0.1:" + std::to_string(port_) + ":" + listen_address;
  return options;
}

std::vector<Nginx::Exchange> Nginx::exchanges() const {
  std::vector<Exchange> found;
  std::istringstream lines(cli_test::contents(folder_ / "access.log"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    Exchange exchange;
    words >> exchange.connection >> exchange.number >> exchange.protocol >> exchange.status;
    std::getline(words >> std::ws, exchange.request);
    found.push_back(exchange);
  }
  return found;
}

}  // namespace server_test
