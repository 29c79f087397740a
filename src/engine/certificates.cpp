// Download and revocation (RFC 8555 §7.4.2, §7.6).
#include <algorithm>

#include "culmen/certificate.hpp"
#include "engine/signed_post.hpp"
#include "protocol/order.hpp"

namespace culmen::engine {

namespace {
constexpr std::size_t max_alternates = 10;

Flow<Result<void>> post_revocation(Session session, SignedRequest request) {
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  co_return Result<void>();
}

bool has_root_issuer(const CertificateChain& chain, const std::string& issuer_common_name) {
  return topmost_issuer(chain.pem) == issuer_common_name;
}
}  // namespace

Flow<Result<CertificateChain>> download_chain(Session session, Account account, std::string certificate_url) {
  if (certificate_url.empty()) {
    co_return Error(Errc::invalid_argument, "downloading the certificate",
                    "there is no certificate URL: the order is not valid yet");
  }
  SignedRequest request(account, std::move(certificate_url), "", "downloading the certificate");
  request.accept = "application/pem-certificate-chain";
  Result<HttpResponse> response = co_await signed_post(std::move(session), std::move(request));
  if (!response) co_return response.error();
  co_return protocol::parse_chain(*response);
}

Flow<Result<CertificateChain>> download_preferred_chain(Session session, Account account, std::string certificate_url,
                                                        std::string issuer_common_name) {
  Result<CertificateChain> standard = co_await download_chain(session, account, std::move(certificate_url));
  if (!standard || issuer_common_name.empty() || has_root_issuer(*standard, issuer_common_name)) co_return standard;
  std::size_t tried = 0;
  for (const std::string& url : standard->alternates) {
    if (++tried > max_alternates) break;
    Result<CertificateChain> alternate = co_await download_chain(session, account, url);
    if (!alternate && alternate.error().code() == Errc::cancelled) co_return alternate;
    if (alternate && has_root_issuer(*alternate, issuer_common_name)) co_return alternate;
  }
  co_return standard;
}

Flow<Result<void>> revoke_certificate(Session session, Account account, Bytes certificate_der,
                                      std::optional<int> reason) {
  Result<std::string> payload = protocol::revoke_payload(certificate_der, reason);
  if (!payload) co_return payload.error();
  SignedRequest request(account, session.directory().revoke_cert, std::move(*payload), "revoking the certificate");
  co_return co_await post_revocation(std::move(session), std::move(request));
}

Flow<Result<void>> revoke_certificate_with_cert_key(Session session, PrivateKey certificate_key, Bytes certificate_der,
                                                    std::optional<int> reason) {
  Result<std::string> payload = protocol::revoke_payload(certificate_der, reason);
  if (!payload) co_return payload.error();
  SignedRequest request(std::move(certificate_key), session.directory().revoke_cert, std::move(*payload),
                        "revoking the certificate with its own key");
  co_return co_await post_revocation(std::move(session), std::move(request));
}

}  // namespace culmen::engine
