// Which CA.
#pragma once

#include <string>
#include <utility>

namespace culmen {

/// The URL of a CA's directory.
class DirectoryUrl {
 public:
  /// Let's Encrypt, for certificates that browsers trust. Its rate limits are strict: try with staging first.
  static DirectoryUrl lets_encrypt() { return DirectoryUrl("letsencrypt"); }
  /// Let's Encrypt for trials: the same protocol, certificates that nobody trusts, generous rate limits.
  static DirectoryUrl lets_encrypt_staging() { return DirectoryUrl("letsencrypt-staging"); }
  /// Any other: an URL, or a short name of known_cas().
  static DirectoryUrl other(std::string url) { return DirectoryUrl(std::move(url)); }

  /// As connect() takes it.
  const std::string& str() const noexcept { return url_; }

 private:
  explicit DirectoryUrl(std::string url) : url_(std::move(url)) {}
  std::string url_;
};

}  // namespace culmen
