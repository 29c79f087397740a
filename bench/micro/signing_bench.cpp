// Signing a request as culmen does it, whole, beside nothing but OpenSSL's signature of the same octets.
#include <openssl/evp.h>

#include <benchmark/benchmark.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "crypto/key_handle.hpp"
#include "culmen/private_key.hpp"
#include "jose/jws.hpp"

namespace {

using namespace culmen;

// What a new order for one name says to a CA whose URLs are as long as they are in the field.
const std::string account_url = "https://acme-v02.api.example.org/acme/acct/1234567890";
const std::string url = "https://acme-v02.api.example.org/acme/new-order";
const std::string nonce = "D8s4D2mLs8Vn-goWuPQeKAuXSLVRnmtfA7zPqLtXl0o";
const std::string payload = R"({"identifiers":[{"type":"dns","value":"www.example.com"}]})";

void sign_request(benchmark::State& state, const std::string& type) {
  const PrivateKey key = PrivateKey::generate(type);
  for (auto _ : state) benchmark::DoNotOptimize(jose::sign_with_kid(key, account_url, nonce, url, payload));
}

/// What the signature covers: "protected.payload" (RFC 7515 §5.1), cut out of a finished request.
std::string signing_input(const PrivateKey& key) {
  const std::string body = jose::sign_with_kid(key, account_url, nonce, url, payload);
  const auto member = [&body](const std::string& name) {
    const std::size_t start = body.find("\"" + name + "\":\"") + name.size() + 4;
    return body.substr(start, body.find('"', start) - start);
  };
  return member("protected") + "." + member("payload");
}

void sign_bare(benchmark::State& state, const std::string& type) {
  const PrivateKey key = PrivateKey::generate(type);
  EVP_PKEY* native = key.handle().get();
  const EVP_MD* digest = key.handle().digest();
  const std::string input = signing_input(key);
  const auto* data = reinterpret_cast<const unsigned char*>(input.data());
  std::vector<unsigned char> signature(static_cast<std::size_t>(EVP_PKEY_get_size(native)));
  for (auto _ : state) {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::size_t length = signature.size();
    if (EVP_DigestSignInit(context, nullptr, digest, nullptr, native) != 1 ||
        EVP_DigestSign(context, signature.data(), &length, data, input.size()) != 1) {
      throw std::runtime_error("OpenSSL does not sign with " + type);
    }
    EVP_MD_CTX_free(context);
    benchmark::DoNotOptimize(signature.data());
  }
}

const bool registered = [] {
  for (const std::string& type : key_type_names()) {
    if (!key_type_available(type)) continue;
    benchmark::RegisterBenchmark(("sign/culmen/" + type).c_str(), sign_request, type);
    benchmark::RegisterBenchmark(("sign/openssl/" + type).c_str(), sign_bare, type);
  }
  return true;
}();

}  // namespace
