// Authority tokens (RFC 9447) as the CA reads them: any text, and any claims under a good signature; lists of numbers.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/base64.hpp"
#include "culmen/error.hpp"
#include "culmen/private_key.hpp"
#include "testca/authority_token.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const PrivateKey key = PrivateKey::generate("ed25519");
  static const crypto::PublicKey authority = crypto::public_key(key);
  static const testca::TokenJob job(Identifier("TNAuthList", "MAigBhYEMTIzNA"),
                                    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                                    testca::TimePoint(std::chrono::seconds(1'800'000'000)));
  const std::string text(reinterpret_cast<const char*>(data), size);
  testca::TimePoint expires;
  (void)testca::judge_authority_token(text, job, authority, expires);
  const std::string input = base::base64url_encode(R"({"alg":"EdDSA"})") + "." + base::base64url_encode(text);
  (void)testca::judge_authority_token(input + "." + base::base64url_encode(key.sign(as_bytes(input))), job, authority,
                                      expires);

  // Both readers of lists agree on what is one, but that the client's wants the shortest lengths and no empty entries.
  const bool refused = !testca::fault_of_tn_auth_list(base::base64url_encode(ByteView(data, size))).empty();
  try {
    (void)Identifier::tn_auth_list(ByteView(data, size));
    if (refused && size < 65536) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
