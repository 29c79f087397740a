// The test CA's reading of a CertID (RFC 9773 §4.1). Nothing was issued, so that none names a certificate.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "testca/acme_server.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static testca::AcmeServer* server = [] {
    auto* made = new testca::AcmeServer({}, {});
    made->set_base_url("https://ca.test");
    return made;
  }();
  testca::Request request;
  request.target = "/acme/renewal-info/" + std::string(reinterpret_cast<const char*>(data), size);
  request.headers = {{"user-agent", "fuzz"}};
  const testca::Reply reply = server->handle(request);
  if (reply.status < 400 || reply.status >= 500) std::abort();
  return 0;
}
