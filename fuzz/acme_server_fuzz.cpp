// The test CA's request handler: bodies as they come, and what stands in well-formed, well-signed requests.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/base64.hpp"
#include "culmen/private_key.hpp"
#include "testca/acme_server.hpp"

namespace {

using namespace culmen;
using namespace culmen::testca;

/// A CA, and an account to ask it for things.
struct World {
  World() : server(options(), {}) {
    server.set_base_url("https://ca.test");
    Reply reply = signed_post("/acme/new-account", "\"jwk\":" + key.public_jwk(), "{}");
    account_url = std::string(reply.header("location"));
    if (account_url.empty()) __builtin_trap();
  }
  static TestCaOptions options() {
    TestCaOptions options;
    options.seed = 1;
    options.skip_validation = true;
    return options;
  }
  Reply post(const std::string& target, std::string body) {
    Request request;
    request.method = "POST";
    request.target = target;
    request.headers = {{"user-agent", "fuzz"}, {"content-type", "application/jose+json"}};
    request.body = std::move(body);
    return server.handle(request);
  }
  Reply signed_post(const std::string& target, const std::string& who, std::string_view payload) {
    Request for_nonce;
    for_nonce.target = "/acme/new-nonce";
    for_nonce.headers = {{"user-agent", "fuzz"}};
    std::string nonce(server.handle(for_nonce).header("replay-nonce"));
    std::string head = base::base64url_encode("{\"alg\":\"EdDSA\"," + who + ",\"nonce\":\"" + nonce +
                                              "\",\"url\":\"https://ca.test" + target + "\"}");
    std::string body = base::base64url_encode(payload);
    std::string signature = base::base64url_encode(key.sign(as_bytes(head + "." + body)));
    return post(target,
                "{\"protected\":\"" + head + "\",\"payload\":\"" + body + "\",\"signature\":\"" + signature + "\"}");
  }

  AcmeServer server;
  PrivateKey key = PrivateKey::generate("ed25519");
  std::string account_url;
};

}  // namespace

// The first octet says where to, and whether the rest is the body or the payload of a good request.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr const char* targets[] = {"/acme/new-account", "/acme/new-order",  "/acme/new-authz",
                                     "/acme/revoke-cert", "/acme/key-change", "/acme/new-nonce"};
  if (size == 0) return 0;
  static World* world = nullptr;
  static int requests = 0;
  if (!world || ++requests > 5000) {  // orders are never forgotten: begin anew before they fill the memory
    delete world;
    world = new World;
    requests = 0;
  }
  std::string target = targets[(data[0] >> 1) % std::size(targets)];
  std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  Reply reply = data[0] & 1 ? world->signed_post(target, "\"kid\":\"" + world->account_url + "\"", text)
                            : world->post(target, text);
  bool sane = reply.status >= 200 && reply.status < 500 && !reply.header("replay-nonce").empty();
  if (!sane) __builtin_trap();
  return 0;
}
