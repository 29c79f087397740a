#include "culmen/test_ca.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "testca/acme_server.hpp"
#include "testca/dns_validation.hpp"
#include "testca/faults.hpp"
#include "testca/json_reader.hpp"
#include "testca/problem.hpp"
#include "testca/server.hpp"
#include "testca/validation.hpp"

namespace culmen {

class TestCa::Impl {
 public:
  explicit Impl(TestCaOptions options_) : options(checked(std::move(options_))), port(options.port) {
    testca::DnsValidator::check(options);
    const auto by_dns = by(&Validators::dns);
    acme.emplace(options, std::map<std::string, testca::Validator>{{"http-01", by(&Validators::http01)},
                                                                   {"tls-alpn-01", by(&Validators::tls_alpn01)},
                                                                   {"dns-01", by_dns},
                                                                   {"dns-account-01", by_dns},
                                                                   {"dns-persist-01", by_dns}});
  }

  static TestCaOptions checked(TestCaOptions options) {
    constexpr const char* doing = "setting up a test CA";
    if (options.chain_length < 0 || options.chain_length > 5)
      throw Error(Errc::invalid_argument, doing, "chain_length must be 0 to 5");
    if (options.alternate_roots < 0 || options.alternate_roots > 20)
      throw Error(Errc::invalid_argument, doing, "alternate_roots must be 0 to 20");
    testca::check_faults(options.faults);
    if (options.base_url.find("://") == std::string::npos || options.base_url.ends_with('/'))
      throw Error(Errc::invalid_argument, doing, "base_url must be a URL without a \"/\" at its end");
    for (const TestCaDelegation& delegation : options.delegations) {
      try {
        testca::read_object(delegation.csr_template, "csr-template");
      } catch (const testca::Refusal& refusal) {
        throw Error(Errc::invalid_argument, doing, "a delegation: " + refusal.problem.detail);
      }
    }
    return options;
  }

  /// What visits the network, on threads of its own.
  struct Validators {
    explicit Validators(const TestCaOptions& options) : http01(options), tls_alpn01(options), dns(options) {}
    testca::Http01Validator http01;
    testca::TlsAlpn01Validator tls_alpn01;
    testca::DnsValidator dns;
  };

  template <class Kind>
  testca::Validator by(Kind Validators::*validator) {
    return [this, validator](const testca::ValidationJob& job, testca::ValidationDone done) {
      if (validators) return ((*validators).*validator).validate(job, std::move(done));
      done(testca::make_problem(500, "serverInternal",
                                "the test CA was not started, so it does not use the network: set "
                                "TestCaOptions::validate or skip_validation, or call force_validation()"));
    };
  }

  TimedResponse handle(const HttpRequest& request) {
    const std::string doing = "sending a request for " + request.url + " to a test CA";
    const std::string& base_url = acme->base_url();
    if (!request.url.starts_with(base_url + "/"))
      return TimedResponse(Error(Errc::connection_failed, doing, "its URLs start with " + base_url));
    const testca::Reply reply = acme->handle(to_testca(request, base_url.size()));
    switch (reply.delivery) {
      case testca::Reply::Delivery::whole: break;
      case testca::Reply::Delivery::close:
        return TimedResponse(Error(Errc::connection_failed, doing, "the connection was closed without a response"),
                             reply.after);
      case testca::Reply::Delivery::endless:
        return TimedResponse(Error(Errc::response_too_large, doing, "the body does not end"), reply.after);
    }
    HttpResponse response;
    response.status = reply.status;
    for (const auto& [name, value] : reply.headers) response.headers.emplace_back(base::to_lower(name), value);
    if (request.method != HttpMethod::head) response.body = reply.body;
    response.url = request.url;
    return TimedResponse(std::move(response), reply.after);
  }

  static testca::Request to_testca(const HttpRequest& request, std::size_t base_length) {
    testca::Request converted;
    switch (request.method) {
      case HttpMethod::get: converted.method = "GET"; break;
      case HttpMethod::head: converted.method = "HEAD"; break;
      case HttpMethod::post: converted.method = "POST"; break;
      case HttpMethod::put: converted.method = "PUT"; break;
      case HttpMethod::patch: converted.method = "PATCH"; break;
      case HttpMethod::del: converted.method = "DELETE"; break;
    }
    converted.target = request.url.substr(base_length);
    converted.headers.emplace_back("user-agent", "in-process");
    if (!request.content_type.empty()) converted.headers.emplace_back("content-type", request.content_type);
    if (!request.accept.empty()) converted.headers.emplace_back("accept", request.accept);
    converted.body = request.body;
    return converted;
  }

  void start() {
    if (server) return;
    if (!validators) validators.emplace(options);
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
  // The validators call back into the server of ACME, which calls the validators: neither call comes while the
  // other is being destroyed, because the listener goes first and the validators next.
  std::optional<testca::AcmeServer> acme;
  std::optional<Validators> validators;
  std::unique_ptr<testca::HttpsServer> server;
};

TestCa::TestCa(TestCaOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
TestCa::~TestCa() = default;

void TestCa::start() { impl_->start(); }
void TestCa::stop() noexcept { impl_->server.reset(); }

TimedResponse TestCa::handle(const HttpRequest& request) { return impl_->handle(request); }

std::string TestCa::directory_url() const { return impl_->acme->directory_url(); }
std::string TestCa::root_pem() const { return impl_->acme->authority().root_pem(); }
std::vector<std::string> TestCa::alternate_root_pems() const { return impl_->acme->authority().alternate_root_pems(); }

void TestCa::plan(TestCaFault fault) { impl_->acme->plan(std::move(fault)); }
void TestCa::set_faults(TestCaFaults faults) {
  testca::check_faults(faults);
  impl_->acme->set_faults(std::move(faults));
}
void TestCa::force_validation(const std::string& identifier, std::optional<bool> outcome) {
  impl_->acme->force_validation(identifier, outcome);
}
void TestCa::advance_clock(std::chrono::seconds by) { impl_->acme->advance_clock(by); }
void TestCa::set_endpoint_prefix(const std::string& prefix) { impl_->acme->set_endpoint_prefix(prefix); }

std::map<std::string, int> TestCa::request_counts() const { return impl_->acme->request_counts(); }
void TestCa::reset_counts() { impl_->acme->reset_counts(); }
TestCaSizes TestCa::sizes() const { return impl_->acme->sizes(); }
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
