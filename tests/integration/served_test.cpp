// nginx and HAProxy with certificates of the culmen program, as docs/serving.md says.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/served.hpp"
#include "support/server_user.hpp"
#include "support/text.hpp"
#include "support/unpacked_server.hpp"

using namespace cli_test;
using namespace served_test;

namespace {

constexpr const char* host = "www.example.com";

/// One of its own that no user has as the first; or, without root's rights, the own one.
std::string key_group() { return std::to_string(geteuid() == 0 ? 12345 : getegid()); }

/// Connects, checks the name and the chain, asks for "/", and returns the serial number of the certificate.
std::string serial_served(std::uint16_t port, const std::string& root_file) {
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (SSL_CTX_load_verify_file(context.get(), root_file.c_str()) != 1) throw std::runtime_error("no " + root_file);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const std::unique_ptr<BIO, void (*)(BIO*)> connection(BIO_new_ssl_connect(context.get()), BIO_free_all);
  BIO_set_conn_hostname(connection.get(), ("127.0.0.1:" + std::to_string(port)).c_str());
  SSL* ssl = nullptr;
  BIO_get_ssl(connection.get(), &ssl);
  SSL_set_tlsext_host_name(ssl, host);
  SSL_set1_host(ssl, host);
  ERR_clear_error();
  const auto require = [](bool good, const std::string& doing) {
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    if (!good) throw std::runtime_error(doing + ": " + reason.data());
  };
  require(BIO_do_connect(connection.get()) == 1, "connecting");
  const std::string request = std::string("GET / HTTP/1.0\r\nHost: ") + host + "\r\n\r\n";
  require(BIO_puts(connection.get(), request.c_str()) == static_cast<int>(request.size()), "asking");
  std::array<char, 1024> buffer{};
  std::string answer;
  for (int size = 0; (size = BIO_read(connection.get(), buffer.data(), static_cast<int>(buffer.size()))) > 0;)
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  if (answer.find(" 200 ") == std::string::npos || !answer.ends_with("Hello"))
    throw std::runtime_error("the answer is \"" + answer + "\"");
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl), X509_free);
  return serial_of(certificate.get());
}

/// What has processes of its own: it is told to end, not killed.
struct Master {
  Master() = default;
  ~Master() {
    if (!process) return;
    process->signal(SIGTERM);
    for (int i = 0; i < 250 && process->running(); ++i) sleep_a_little();
  }
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;
  void start(const std::vector<std::string>& command, std::uint16_t port) {
    process = std::make_unique<Process>(command);
    const auto ready = [&] { return server_test::is_listening("127.0.0.1", port) || !process->running(); };
    if (!eventually(ready) || !process->running())
      throw std::runtime_error(command.front() + " did not start: " + process->out() + process->err());
  }
  std::unique_ptr<Process> process;
};

}  // namespace

TEST_CASE("nginx serves a certificate by web root, and its renewals, with every connection good") {
  const TestCaProcess ca;
  const Client client(ca);
  const TemporaryFolder folder;
  const std::string port = std::to_string(free_port());
  // nginx's workers are another user, if this one is root.
  fs::permissions(folder.path(), static_cast<fs::perms>(0755));
  for (const char* name : {"sites", "acme", "html"}) fs::create_directory(folder / name);
  std::ofstream(folder / "html/index.html") << "Hello";
  const Replacements places = {{"/var/www/acme", folder / "acme"},
                               {"/var/www/html", folder / "html"},
                               {"/var/lib/culmen", client.state().string()},
                               {"/usr/local/sbin", folder / "hooks"},
                               {"listen 80;", "listen 127.0.0.1:" + ca.http_port() + ";"},
                               {"listen 443", "listen 127.0.0.1:" + port}};
  std::string all = "daemon off;\nworker_processes 2;\npid nginx.pid;\nerror_log error.log;\n";
  if (geteuid() == 0) all += "user nobody nogroup;\n";
  all += "events { worker_connections 512; }\nhttp {\n  access_log off;\n  include sites/*;\n";
  for (const char* name : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    all += std::string("  ") + name + "_temp_path " + name + ";\n";
  folder.write("nginx.conf", all + "}\n");
  add_server_program(folder / "bin/nginx", server_test::unpacked_libraries("nginx"),
                     server_test::unpacked_program("nginx"),
                     "-p '" + folder.path().string() + "' -c nginx.conf -e error.log");
  folder.write("sites/plain", block_of_page("nginx", 1, places));
  const std::string hook = add_program(folder / "hooks/reload-nginx", block_of_page("nginx", 2, places));
  Master nginx;
  nginx.start({"setpriv", "--pdeathsig=TERM", (folder / "bin/nginx").string()},
              static_cast<std::uint16_t>(std::stoi(ca.http_port())));

  const Outcome issued = run_with(folder / "bin", client.command(command_of_page("nginx", 3, places)));
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  folder.write("sites/tls", block_of_page("nginx", 4, places));
  REQUIRE(run_with(folder / "bin", {hook}).exit_code == 0);
  const auto number = static_cast<std::uint16_t>(std::stoi(port));
  REQUIRE(eventually([&] { return server_test::is_listening("127.0.0.1", number); }));
  const fs::path key = client.certificate(host) / "live/key.pem";
  CHECK(mode_of(key) == 0600);
  for (int i = 0; i < 2; ++i)
    check_renewal(client, host, key, folder / "bin", [&] { return serial_served(number, ca.root_file()); });

  // Where nginx cannot reload, the run fails, and nginx goes on. The next run reloads it, without a new certificate.
  const auto served = [&] { return serial_served(number, ca.root_file()); };
  const std::vector<std::string> renew = {culmen_path(), "renew", "--dir", client.state().string()};
  std::vector<std::string> forced = renew;
  forced.emplace_back("--force");
  const std::string before = served();
  const std::string broken =
      folder.write("sites/broken", replaced(block_of_page("nginx", 4, places), {{"live/", "none/"}}));
  const Outcome failed = run_with(folder / "bin", forced);
  CHECK(failed.exit_code == 1);
  CHECK(contains(failed.err, hook));
  CHECK(contains(failed.err, "none/fullchain.pem"));
  CHECK(served() == before);
  fs::remove(broken);
  const int orders = ca.logged("new-order");
  CHECK(run_with(folder / "bin", renew).exit_code == 0);
  CHECK(ca.logged("new-order") == orders);
  const std::string after = serial_in(client.certificate(host) / "live/cert.pem");
  CHECK(after != before);
  CHECK(eventually([&] { return served() == after; }));
}

TEST_CASE("HAProxy serves a certificate in one file with its key, and its renewals, with every connection good") {
  const TestCaProcess ca;
  const Client client(ca);
  const TemporaryFolder folder;
  const std::string port = std::to_string(free_port()), http_port_of_culmen = std::to_string(free_port());
  server_test::give_to_owner(folder);
  fs::permissions(folder.path(), static_cast<fs::perms>(0755));
  fs::create_directory(folder / "certs");
  const Replacements places = {{"/etc/haproxy/certs", folder / "certs"},
                               {"/etc/haproxy", folder.path().string()},
                               {"/run/haproxy.pid", folder / "haproxy.pid"},
                               {"/usr/local/sbin", folder / "hooks"},
                               {"--key-group haproxy", "--key-group " + key_group()},
                               {"8888", http_port_of_culmen},
                               {"bind :80", "bind 127.0.0.1:" + ca.http_port()},
                               {"bind :443", "bind 127.0.0.1:" + port}};
  const fs::path server = server_test::unpacked("haproxy", folder);
  add_server_program(folder / "bin/haproxy", "LD_LIBRARY_PATH=" + (server / "libraries").string(),
                     canonical(server / "program"));
  const std::string configuration =
      "defaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n\n" +
      block_of_page("HAProxy", 1, places);
  folder.write("haproxy.cfg", configuration);
  const std::string hook = add_program(folder / "hooks/reload-haproxy", block_of_page("HAProxy", 2, places));
  Master haproxy;
  haproxy.start(server_test::as_owner(folder,
                                      {(folder / "bin/haproxy").string(), "-Ws", "-f", folder / "haproxy.cfg", "-p",
                                       folder / "haproxy.pid"},
                                      key_group(), "TERM"),
                static_cast<std::uint16_t>(std::stoi(ca.http_port())));

  const Outcome issued = run_with(folder / "bin", client.command(command_of_page("HAProxy", 3, places)));
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  folder.write("haproxy.cfg", configuration + "\n" + block_of_page("HAProxy", 4, places));
  REQUIRE(run_with(folder / "bin", {hook}).exit_code == 0);
  const auto number = static_cast<std::uint16_t>(std::stoi(port));
  REQUIRE_MESSAGE(eventually([&] { return server_test::is_listening("127.0.0.1", number); }), haproxy.process->err());
  const fs::path combined = folder / "certs" / (std::string(host) + ".pem");
  CHECK(access_of(combined) == "100640 " + std::to_string(geteuid()) + " " + key_group());
  for (int i = 0; i < 2; ++i)
    check_renewal(client, host, combined, folder / "bin", [&] { return serial_served(number, ca.root_file()); });
}
