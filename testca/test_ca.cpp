#include "culmen/test_ca.hpp"

#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "testca/acme_server.hpp"
#include "testca/dns_validation.hpp"
#include "testca/json_reader.hpp"
#include "testca/problem.hpp"
#include "testca/server.hpp"
#include "testca/validation.hpp"

namespace culmen {

class TestCa::Impl {
 public:
  explicit Impl(TestCaOptions options_) : options(checked(std::move(options_))), port(options.port) {
    acme.emplace(
        options,
        std::map<std::string, testca::Validator>{
            {"http-01", [this](const testca::ValidationJob& job,
                               testca::ValidationDone done) { http01.validate(job, std::move(done)); }},
            {"tls-alpn-01", [this](const testca::ValidationJob& job,
                                   testca::ValidationDone done) { tls_alpn01.validate(job, std::move(done)); }},
            {"dns-01", by_dns()},
            {"dns-account-01", by_dns()},
            {"dns-persist-01", by_dns()}});
  }

  static TestCaOptions checked(TestCaOptions options) {
    constexpr const char* doing = "setting up a test CA";
    if (options.chain_length < 0 || options.chain_length > 5)
      throw Error(Errc::invalid_argument, doing, "chain_length must be 0 to 5");
    if (options.alternate_roots < 0 || options.alternate_roots > 20)
      throw Error(Errc::invalid_argument, doing, "alternate_roots must be 0 to 20");
    for (const TestCaDelegation& delegation : options.delegations) {
      try {
        testca::read_object(delegation.csr_template, "csr-template");
      } catch (const testca::Refusal& refusal) {
        throw Error(Errc::invalid_argument, doing, "a delegation: " + refusal.problem.detail);
      }
    }
    return options;
  }

  testca::Validator by_dns() {
    return
        [this](const testca::ValidationJob& job, testca::ValidationDone done) { dns.validate(job, std::move(done)); };
  }

  void start() {
    if (server) return;
    auto fresh = std::make_unique<testca::HttpsServer>(
        options.address, port, acme->authority().tls_identity(options.address),
        [this](const testca::Request& request) { return acme->handle(request); }, [this] { acme->count_connection(); });
    port = fresh->port();  // the same one after stop() and start(): URLs must stay good
    std::string host = options.address;
    if (host == "0.0.0.0") host = "127.0.0.1";
    if (host == "::") host = "::1";
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    acme->set_base_url("https://" + host + ":" + std::to_string(port));
    if (!options.root_file.empty()) write_file_atomically(options.root_file, acme->authority().root_pem());
    fresh->start();
    server = std::move(fresh);
  }

  const TestCaOptions options;
  std::uint16_t port;
  // The validator calls back into the server of ACME, which calls the validator: neither call comes while the
  // other is being destroyed, because the listener goes first and the validator next.
  std::optional<testca::AcmeServer> acme;
  testca::Http01Validator http01{options};
  testca::TlsAlpn01Validator tls_alpn01{options};
  testca::DnsValidator dns{options};
  std::unique_ptr<testca::HttpsServer> server;
};

TestCa::TestCa(TestCaOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
TestCa::~TestCa() = default;

void TestCa::start() { impl_->start(); }
void TestCa::stop() noexcept { impl_->server.reset(); }

std::string TestCa::directory_url() const { return impl_->acme->directory_url(); }
std::string TestCa::root_pem() const { return impl_->acme->authority().root_pem(); }
std::vector<std::string> TestCa::alternate_root_pems() const { return impl_->acme->authority().alternate_root_pems(); }

void TestCa::plan(TestCaFault fault) { impl_->acme->plan(std::move(fault)); }
void TestCa::set_faults(TestCaFaults faults) { impl_->acme->set_faults(std::move(faults)); }
void TestCa::force_validation(const std::string& identifier, std::optional<bool> outcome) {
  impl_->acme->force_validation(identifier, outcome);
}
void TestCa::advance_clock(std::chrono::seconds by) { impl_->acme->advance_clock(by); }

std::map<std::string, int> TestCa::request_counts() const { return impl_->acme->request_counts(); }
void TestCa::reset_counts() { impl_->acme->reset_counts(); }
std::vector<std::string> TestCa::issued() const { return impl_->acme->issued(); }
bool TestCa::is_revoked(const std::string& leaf_pem) const {
  return impl_->acme->is_revoked(Certificate::from_pem(leaf_pem).der);
}
void TestCa::set_renewal_window(const std::string& leaf_pem, std::chrono::system_clock::time_point start,
                                std::chrono::system_clock::time_point end) {
  impl_->acme->set_renewal_window(Certificate::from_pem(leaf_pem).der, start, end);
}
std::chrono::system_clock::time_point TestCa::now() const { return impl_->acme->now(); }

}  // namespace culmen
