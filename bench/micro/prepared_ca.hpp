// A CA whose answers lie ready, one a URL: it costs a look-up and a copy, so that what is measured is the client.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "culmen/engine.hpp"

namespace culmen::bench {

class PreparedCa {
 public:
  explicit PreparedCa(std::size_t names);

  HttpResponse answer(const std::string& url) const { return answers_.at(url); }

  const std::string base = "https://acme-v02.api.example.org";
  const std::string directory_url = base + "/directory";
  const std::string order_url = base + "/acme/order/1234567890/358012345678";
  const std::string account_url = base + "/acme/acct/1234567890";
  std::vector<std::string> names;
  /// The key that the certificate is for.
  const PrivateKey certificate_key = PrivateKey::generate("ec:P-256");

 private:
  void add(std::string url, int status, std::string content_type, std::string body);
  void add_order(std::string url, int status, std::string_view order_status);
  std::string chain() const;

  std::unordered_map<std::string, HttpResponse> answers_;
};

}  // namespace culmen::bench
