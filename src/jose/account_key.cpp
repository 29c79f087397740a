#include "culmen/account_key.hpp"

#include "culmen/error.hpp"

namespace culmen {

AccountKey::AccountKey(PrivateKey key) : key_(std::move(key)), thumbprint_(key_.thumbprint()) {}

AccountKey AccountKey::generate(std::string_view type) { return AccountKey(PrivateKey::generate(type)); }

AccountKey AccountKey::from_pem(std::string_view pem, const PassphraseCallback& passphrase) {
  return AccountKey(PrivateKey::from_pem(pem, passphrase));
}

AccountKey AccountKey::from_jwk(std::string_view json) { return AccountKey(PrivateKey::from_jwk(json)); }

std::string AccountKey::to_pem() const { return key_.to_pem(); }

const std::string& AccountKey::thumbprint() const noexcept { return thumbprint_; }

std::string AccountKey::key_authorization(std::string_view token) const {
  if (!key_) throw Error(Errc::invalid_argument, "making a key authorization", "there is no account key");
  return std::string(token) + "." + thumbprint_;
}

std::string_view AccountKey::alg() const noexcept { return key_.alg(); }

const PrivateKey& AccountKey::private_key() const noexcept { return key_; }

}  // namespace culmen
