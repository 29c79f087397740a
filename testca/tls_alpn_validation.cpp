// tls-alpn-01 (RFC 8737 §3, RFC 8738 §6), the CA's side.
#include <openssl/ssl.h>

#include <algorithm>
#include <set>
#include <string>

#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "base/name.hpp"
#include "crypto/ca.hpp"
#include "crypto/random.hpp"
#include "culmen/error.hpp"
#include "testca/object_identifiers.hpp"
#include "testca/stream.hpp"
#include "testca/validation.hpp"
#include "testca/visiting.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

constexpr std::string_view acme_protocol = "acme-tls/1";
constexpr std::string_view acme_identifier = "1.3.6.1.5.5.7.1.31";

/// What RFC 8737 §3 wants to see as subjectAltName: one GeneralName, and nothing else. Names are short enough for
/// lengths of one or two octets.
Bytes expected_names(const Identifier& identifier) {
  const bool is_ip = identifier.type == "ip";
  Bytes name = is_ip ? base::ip_octets(identifier.value).value_or(Bytes())
                     : Bytes(identifier.value.begin(), identifier.value.end());
  const auto prepend = [](std::uint8_t tag, Bytes content) {
    const std::size_t size = content.size();
    Bytes head = {tag};
    if (size >= 0x80) head.push_back(0x81);
    head.push_back(static_cast<std::uint8_t>(size));
    head.insert(head.end(), content.begin(), content.end());
    return head;
  };
  return prepend(0x30, prepend(is_ip ? 0x87 : 0x82, std::move(name)));
}

Bytes lowered(Bytes octets) {
  std::ranges::transform(octets, octets.begin(),
                         [](std::uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c + 32) : c; });
  return octets;
}

std::string selected_protocol(SSL* ssl) {
  const unsigned char* protocol = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &length);
  return std::string(reinterpret_cast<const char*>(protocol), length);
}

Bytes peer_certificate(SSL* ssl) {
  X509* certificate = SSL_get1_peer_certificate(ssl);
  if (!certificate) return {};
  unsigned char* der = nullptr;
  const int length = i2d_X509(certificate, &der);
  Bytes out;
  if (length > 0) out.assign(der, der + length);
  OPENSSL_free(der);
  X509_free(certificate);
  return out;
}

}  // namespace

std::string fault_of_alpn_certificate(ByteView certificate, const ValidationJob& job) try {
  if (!crypto::is_self_issued(certificate) || !crypto::is_signed_by(certificate, certificate))
    return "the certificate is not self-signed";
  std::set<std::string> seen;
  const crypto::OidValue* names = nullptr;
  const crypto::OidValue* proof = nullptr;
  const std::vector<crypto::OidValue> extensions = crypto::certificate_extensions(certificate);
  for (const crypto::OidValue& extension : extensions) {
    if (!seen.insert(extension.oid).second) return "the certificate has the extension " + extension.oid + " twice";
    if (extension.oid == subject_alt_name) names = &extension;
    if (extension.oid == acme_identifier) proof = &extension;
  }
  if (!names) return "the certificate has no subjectAltName";
  // "the comparison of dNSNames is case-insensitive". Lengths may read as letters, so both sides are lowered.
  const bool is_ip = job.identifier.type == "ip";
  const Bytes expected = expected_names(job.identifier);
  if (is_ip ? names->value != expected : lowered(names->value) != lowered(expected))
    return "the certificate's subjectAltName is not " + job.identifier.value + " as " +
           (is_ip ? "an iPAddress" : "a dNSName") + " and nothing else";
  if (!proof) return "the certificate has no acmeIdentifier extension";
  if (!proof->critical) return "the certificate's acmeIdentifier extension is not critical";
  Bytes digest = {0x04, 0x20};
  const Bytes hash = crypto::sha256(as_bytes(job.key_authorization));
  digest.insert(digest.end(), hash.begin(), hash.end());
  if (proof->value != digest)
    return "the certificate's acmeIdentifier is not the SHA-256 of this challenge's key authorization";
  return {};
} catch (const Error& error) {
  return std::string("the certificate cannot be read: ") + error.what();
}

class TlsAlpn01Validator::Impl {
 public:
  explicit Impl(const TestCaOptions& options) : visits_(options) {
    tls_.set_verify_mode(asio::ssl::verify_none);  // it is self-signed; what it says is looked at by hand
    // RFC 8737 §4: "Clients and servers MUST NOT use TLS versions earlier than TLS 1.2" for this.
    SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_2_VERSION);
  }

  void validate(const ValidationJob& job, ValidationDone done) {
    visits_.begin(job, std::move(done),
                  [this](ValidationJob at_hand, Deadline deadline) { return look(std::move(at_hand), deadline); });
  }

 private:
  asio::awaitable<std::optional<Problem>> look(ValidationJob job, Deadline deadline) {
    beast::tcp_stream connection(visits_.context());
    std::string where;
    const std::uint16_t port = visits_.options().tls_port;
    std::optional<Problem> problem = co_await visits_.connect(job.identifier.value, port, deadline, connection, where);
    if (problem) co_return problem;

    const std::unique_ptr<TlsStream> stream = tls_stream(std::move(connection), tls_);
    SSL* ssl = stream->native_handle();
    // RFC 8738 §6: for an address, SNI is its name in the reverse tree.
    std::string server_name = job.identifier.value;
    if (job.identifier.type == "ip") server_name = base::reverse_arpa_name(job.identifier.value).value_or("");
    const std::string wire = static_cast<char>(acme_protocol.size()) + std::string(acme_protocol);
    if (SSL_set_tlsext_host_name(ssl, server_name.c_str()) != 1 ||
        SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(wire.data()),
                            static_cast<unsigned>(wire.size())) != 0)
      co_return failure("serverInternal", "preparing the handshake with " + where);
    boost::system::error_code error;
    co_await stream->handshake_as_client(error);
    if (error == beast::error::timeout) co_return failure("connection", where + ": the handshake took too long");
    if (error) co_return failure("tls", where + ": " + error.message());

    const std::string protocol = selected_protocol(ssl);
    if (protocol != acme_protocol) {
      co_return failure("unauthorized", where + " answered with " +
                                            (protocol.empty() ? "no protocol" : "the protocol " + printable(protocol)) +
                                            ", not acme-tls/1");
    }
    // What was to be seen has been seen: closing without a goodbye waits for nobody.
    const std::string fault = fault_of_alpn_certificate(peer_certificate(ssl), job);
    if (!fault.empty()) co_return failure("unauthorized", where + ": " + fault);
    co_return std::nullopt;
  }

  asio::ssl::context tls_{asio::ssl::context::tls_client};
  Visits visits_;  // the last: its end is the end of all that runs
};

TlsAlpn01Validator::TlsAlpn01Validator(const TestCaOptions& options) : impl_(std::make_unique<Impl>(options)) {}
TlsAlpn01Validator::~TlsAlpn01Validator() = default;

void TlsAlpn01Validator::validate(const ValidationJob& job, ValidationDone done) {
  impl_->validate(job, std::move(done));
}

}  // namespace culmen::testca
