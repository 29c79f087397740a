// Download and revocation (RFC 8555 §7.4.2, §7.6).
#include <functional>

#include "culmen/certificate.hpp"
#include "engine/endpoints.hpp"
#include "engine/fetch.hpp"
#include "engine/signed_post.hpp"
#include "protocol/order.hpp"

namespace culmen::engine {

namespace {
constexpr std::size_t max_alternates = 10;

using MakeSignature = std::function<SignedRequest(std::string url, std::string payload)>;

Flow<Result<void>> revoke(Session session, Bytes certificate_der, std::optional<int> reason, MakeSignature sign) {
  Result<std::string> payload = protocol::revoke_payload(certificate_der, reason);
  if (!payload) co_return payload.error();
  MakeRequest make = [payload = *payload, sign](const Directory& directory) -> Result<SignedRequest> {
    return sign(directory.revoke_cert, payload);
  };
  Result<HttpResponse> response = co_await post_to_endpoint(session, make);
  if (!response && may_be_repeated(response.error())) {
    response = co_await post_to_endpoint(session, make);
    // The first request arrived.
    if (!response && response.error().code() == Errc::already_revoked) co_return Result<void>();
  }
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

Flow<Result<CertificateChain>> get_certificate(std::string certificate_url) {
  const std::string doing = "getting the certificate without an account";
  if (certificate_url.empty()) {
    co_return Error(Errc::invalid_argument, doing, "there is no certificate URL: the order is not valid yet");
  }
  HttpRequest request(HttpMethod::get, std::move(certificate_url));
  request.accept = "application/pem-certificate-chain";
  Result<HttpResponse> response = co_await fetch(SessionOptions(), std::move(request), doing);
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
  MakeSignature sign = [account = std::move(account)](std::string url, std::string payload) {
    return SignedRequest(account, std::move(url), std::move(payload), "revoking the certificate");
  };
  return revoke(std::move(session), std::move(certificate_der), reason, std::move(sign));
}

Flow<Result<void>> revoke_certificate_with_cert_key(Session session, PrivateKey certificate_key, Bytes certificate_der,
                                                    std::optional<int> reason) {
  MakeSignature sign = [key = std::move(certificate_key)](std::string url, std::string payload) {
    return SignedRequest(key, std::move(url), std::move(payload), "revoking the certificate with its own key");
  };
  return revoke(std::move(session), std::move(certificate_der), reason, std::move(sign));
}

}  // namespace culmen::engine
