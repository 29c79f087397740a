#include "support/pebble.hpp"

#include <stdlib.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <boost/json.hpp>

#include "crypto/ca.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/engine.hpp"

namespace pebble_test {

std::string which_pebble = "DISTRIBUTION";

namespace {
using namespace std::chrono_literals;
namespace json = boost::json;

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A root and a certificate for Pebble's own TLS: the package ships none.
void make_tls_certificate(const std::filesystem::path& folder) {
  using namespace culmen;
  crypto::CertificateTemplate root;
  root.common_name = "Root for Pebble's TLS";
  const PrivateKey root_key = PrivateKey::generate();
  root.public_key_der = root_key.public_key_der();
  root.not_before = std::chrono::system_clock::now() - 1h;
  root.not_after = root.not_before + 48h;
  root.is_ca = true;
  const Bytes root_der = crypto::sign_certificate(root, root_key);
  crypto::CertificateTemplate leaf = root;
  const PrivateKey leaf_key = PrivateKey::generate();
  leaf.common_name.clear();
  leaf.identifiers = {Identifier::ip("127.0.0.1"), Identifier::dns("localhost")};
  leaf.public_key_der = leaf_key.public_key_der();
  leaf.is_ca = false;
  write(folder / "tls-root.pem", der_to_pem(root_der));
  write(folder / "cert.pem", der_to_pem(crypto::sign_certificate(leaf, root_key, root_der)));
  write(folder / "key.pem", leaf_key.to_pem());
}

std::string programs_folder() {
  const std::string variable = "CULMEN_PEBBLE_" + which_pebble;
  const char* folder = getenv(variable.c_str());
  // ctest looks for this text to count the test as skipped.
  if (!folder || !*folder) throw std::runtime_error("no Pebble to be had: " + variable + " names no folder");
  return folder;
}

json::object configuration(const std::filesystem::path& folder, const PebbleOptions& options, std::uint16_t port,
                           std::uint16_t management_port, std::uint16_t http_port, std::uint16_t tls_port) {
  json::object pebble;
  pebble["listenAddress"] = "127.0.0.1:" + std::to_string(port);
  pebble["managementListenAddress"] = "127.0.0.1:" + std::to_string(management_port);
  pebble["certificate"] = (folder / "cert.pem").string();
  pebble["privateKey"] = (folder / "key.pem").string();
  pebble["httpPort"] = http_port;
  pebble["tlsPort"] = tls_port;
  pebble["ocspResponderURL"] = "";
  pebble["externalAccountBindingRequired"] = options.external_account_required;
  if (options.external_account_required) pebble["externalAccountMACKeys"] = json::object{{"kid-1", eab_key}};
  pebble["domainBlocklist"] = json::array(options.blocked_names.begin(), options.blocked_names.end());
  const int retry_after = std::stoi(options.retry_after);
  pebble["retryAfter"] = json::object{{"authz", retry_after}, {"order", retry_after}};
  pebble["keyAlgorithm"] = "ecdsa";
  json::object configuration;
  configuration["pebble"] = std::move(pebble);
  return configuration;
}

bool knows_option(const std::string& program, const std::string& option) {
  const cli_test::Outcome help = cli_test::run({program, "-help"});
  return (help.out + help.err).find(option) != std::string::npos;
}
}  // namespace

Pebble::Pebble(const PebbleOptions& options)
    : port_(cli_test::free_port()),
      management_port_(cli_test::free_port()),
      http_port_(cli_test::free_port()),
      tls_port_(cli_test::free_port()),
      dns_port_(cli_test::free_port()),
      dns_management_port_(cli_test::free_port()) {
  make_tls_certificate(folder_.path());
  const std::string configuration_file = (folder_ / "pebble.json").string();
  write(configuration_file,
        json::serialize(configuration(folder_.path(), options, port_, management_port_, http_port_, tls_port_)));

  const std::string programs = programs_folder();
  const std::string dns_program = programs + "/pebble-challtestsrv";
  const std::string dns_address = "127.0.0.1:" + std::to_string(dns_port_);
  // The flag changed its name between 2.6 and 2.10.
  const std::string dns_flag = knows_option(dns_program, "-dnsserver") ? "-dnsserver" : "-dns01";
  std::vector<std::string> dns_command = {dns_program,
                                          "-defaultIPv4",
                                          "127.0.0.1",
                                          "-defaultIPv6",
                                          "",
                                          dns_flag,
                                          dns_address,
                                          "-http01",
                                          "",
                                          "-https01",
                                          "",
                                          "-tlsalpn01",
                                          "",
                                          "-management",
                                          "127.0.0.1:" + std::to_string(dns_management_port_)};
  if (knows_option(dns_program, "-doh")) dns_command.insert(dns_command.end(), {"-doh", ""});
  dns_ = std::make_unique<cli_test::Process>(dns_command);

  const std::vector<std::string> environment = {
      "PEBBLE_VA_NOSLEEP=1",
      "PEBBLE_VA_ALWAYS_VALID=0",
      "PEBBLE_WFE_NONCEREJECT=" + std::to_string(options.reject_nonces_percent),
      "PEBBLE_AUTHZREUSE=" + std::to_string(options.reuse_authorizations_percent),
      "PEBBLE_ALTERNATE_ROOTS=" + std::to_string(options.alternate_roots),
      "PEBBLE_CHAIN_LENGTH=" + std::to_string(options.chain_length)};
  const std::vector<std::string> command = {programs + "/pebble", "-config",  configuration_file, "-strict",
                                            "-dnsserver",         dns_address};
  pebble_ = std::make_unique<cli_test::Process>(command, environment);
  directory_url_ = "https://127.0.0.1:" + std::to_string(port_) + "/dir";

  const auto give_up = std::chrono::steady_clock::now() + 30s;
  for (;;) {
    if (!pebble_->running()) throw std::runtime_error("Pebble ended: " + pebble_->out() + pebble_->err());
    if (!dns_->running()) throw std::runtime_error("pebble-challtestsrv ended: " + dns_->out() + dns_->err());
    try {
      managed("/roots/0");
      break;
    } catch (const culmen::Error&) {
      if (std::chrono::steady_clock::now() > give_up) throw;
      std::this_thread::sleep_for(20ms);
    }
  }
}

culmen::HttpResponse Pebble::manage(culmen::HttpRequest request) const {
  using namespace culmen;
  struct Sending {
    static Flow<Result<HttpResponse>> run(HttpRequest what) { co_return co_await send(std::move(what)); }
  };
  ClientOptions options;
  options.transport.extra_root_file = root_file();
  blocking::AcmeClient client(directory_url_, options);
  request.url = "https://127.0.0.1:" + std::to_string(management_port_) + request.url;
  return client.run(Sending::run(std::move(request)));
}

std::string Pebble::managed(const std::string& path) const {
  const culmen::HttpResponse response = manage(culmen::HttpRequest(culmen::HttpMethod::get, path));
  if (response.status != 200) throw std::runtime_error(path + " answered " + std::to_string(response.status));
  return response.body;
}

bool Pebble::set_renewal_info(const std::string& certificate_pem, const std::string& ari_json) const {
  culmen::HttpRequest request(culmen::HttpMethod::post, "/set-renewal-info/");
  request.content_type = "application/json";
  request.body = json::serialize(json::object{{"Certificate", certificate_pem}, {"ARIResponse", ari_json}});
  const culmen::HttpResponse response = manage(std::move(request));
  if (response.status == 404) return false;
  if (response.status != 200) throw std::runtime_error("setting renewal info: " + response.body);
  return true;
}

void Pebble::add_txt(const std::string& name, const std::string& value) const {
  manage_dns("/set-txt", json::object{{"host", name + "."}, {"value", value}});
}

void Pebble::clear_txt(const std::string& name) const { manage_dns("/clear-txt", json::object{{"host", name + "."}}); }

void Pebble::manage_dns(const std::string& path, const json::object& body) const {
  const std::string url = "http://127.0.0.1:" + std::to_string(dns_management_port_) + path;
  const cli_test::Outcome outcome = cli_test::run(
      {"curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--data", json::serialize(body), url});
  if (outcome.exit_code != 0) throw std::runtime_error(path + ": " + outcome.err);
}

std::string Pebble::issuing_root(int index) const { return managed("/roots/" + std::to_string(index)); }

std::string Pebble::status_of(const std::string& serial_hex) const {
  const json::object answer = json::parse(managed("/cert-status-by-serial/" + serial_hex)).as_object();
  return std::string(answer.at("Status").as_string());
}

}  // namespace pebble_test
