#include "culmen/verify_chain.hpp"

#include <openssl/x509_vfy.h>

#include "crypto/openssl.hpp"
#include "crypto/x509.hpp"
#include "culmen/certificate.hpp"

namespace culmen {

namespace {

using OwnedStore = crypto::Owned<X509_STORE, &X509_STORE_free>;
using OwnedStoreCtx = crypto::Owned<X509_STORE_CTX, &X509_STORE_CTX_free>;
struct FreeStack {
  void operator()(STACK_OF(X509) * certificates) const noexcept { sk_X509_pop_free(certificates, X509_free); }
};
using OwnedStack = std::unique_ptr<STACK_OF(X509), FreeStack>;

}  // namespace

std::string chain_fault(std::string_view chain_pem, std::string_view roots_pem, const std::string& name,
                        std::chrono::system_clock::time_point at) {
  const std::string doing = "verifying a chain for " + printable(name, 200);
  const OwnedStore store(X509_STORE_new());
  const OwnedStoreCtx context(X509_STORE_CTX_new());
  const OwnedStack others(sk_X509_new_null());
  if (!store || !context || !others) throw crypto::openssl_error(doing);
  for (const Certificate& root : read_chain(roots_pem)) {
    if (X509_STORE_add_cert(store.get(), crypto::read_certificate(root.der, doing).get()) != 1)
      throw crypto::openssl_error(doing);
  }
  crypto::OwnedCert leaf;
  for (const Certificate& certificate : read_chain(chain_pem)) {
    crypto::OwnedCert read = crypto::read_certificate(certificate.der, doing);
    if (!leaf) {
      leaf = std::move(read);
    } else if (sk_X509_push(others.get(), read.get()) <= 0) {
      throw crypto::openssl_error(doing);
    } else {
      (void)read.release();  // the stack's
    }
  }
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), others.get()) != 1)
    throw crypto::openssl_error(doing);
  X509_VERIFY_PARAM* const wanted = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(wanted, std::chrono::system_clock::to_time_t(at));
  X509_VERIFY_PARAM_set_purpose(wanted, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) != 1) {
    crypto::forget_openssl_errors();
    if (X509_VERIFY_PARAM_set1_host(wanted, name.c_str(), name.size()) != 1) throw crypto::openssl_error(doing);
  }
  const bool good = X509_verify_cert(context.get()) == 1;
  const int why = X509_STORE_CTX_get_error(context.get());
  crypto::forget_openssl_errors();
  return good ? std::string() : X509_verify_cert_error_string(why);
}

}  // namespace culmen
