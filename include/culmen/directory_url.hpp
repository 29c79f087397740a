// Selecting a CA.
#pragma once

#include <string>
#include <utility>

namespace culmen {

/// The URL of a CA's directory. A plain value.
class DirectoryUrl {
 public:
  /// Let's Encrypt: publicly trusted certificates. Its rate limits are strict: test with staging first.
  static DirectoryUrl lets_encrypt() { return DirectoryUrl("letsencrypt"); }
  /// Let's Encrypt staging, for tests: certificates that are not publicly trusted, and generous rate limits.
  static DirectoryUrl lets_encrypt_staging() { return DirectoryUrl("letsencrypt-staging"); }
  /// Any other CA: a URL, or a short name from known_cas().
  static DirectoryUrl other(std::string url) { return DirectoryUrl(std::move(url)); }

  /// The text to pass to connect().
  const std::string& str() const noexcept { return url_; }

 private:
  explicit DirectoryUrl(std::string url) : url_(std::move(url)) {}
  std::string url_;
};

}  // namespace culmen
