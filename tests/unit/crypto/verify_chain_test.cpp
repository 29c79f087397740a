#include <doctest/doctest.h>

#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "culmen/create_key.hpp"
#include "culmen/error.hpp"
#include "culmen/verify_chain.hpp"

using namespace culmen;

namespace {

constexpr std::chrono::system_clock::time_point now{std::chrono::seconds(1'790'000'000)};
constexpr std::chrono::hours year(24 * 365);

/// A root, an intermediate and a leaf.
struct Chain {
  PrivateKey root_key = create_p256_key(), middle_key = create_p256_key(), leaf_key = create_p256_key();
  Bytes root = sign(root_key, root_key, "root", true, {});
  Bytes middle = sign(middle_key, root_key, "middle", true, root);
  Bytes leaf = sign(leaf_key, middle_key, "", false, middle);

  static Bytes sign(const PrivateKey& key, const PrivateKey& issuer, const std::string& name, bool is_ca,
                    const Bytes& issuer_der) {
    crypto::CertificateTemplate made;
    made.common_name = name;
    if (!is_ca) made.identifiers = {Identifier("dns", "a.example"), Identifier("ip", "192.0.2.1")};
    made.public_key_der = key.public_key_der();
    made.not_before = now - year;
    made.not_after = now + year;
    made.is_ca = is_ca;
    return crypto::sign_certificate(made, issuer, issuer_der);
  }
  std::string fault(const std::string& name, std::chrono::system_clock::time_point at = now) const {
    return chain_fault(der_to_pem(leaf) + der_to_pem(middle), der_to_pem(root), name, at);
  }
};

}  // namespace

TEST_CASE("chains: for its names, in its time, up to a root that is trusted") {
  const Chain chain;
  CHECK(chain.fault("a.example") == "");
  CHECK(chain.fault("192.0.2.1") == "");
  CHECK(chain.fault("b.example") != "");
  CHECK(chain.fault("192.0.2.2") != "");
  CHECK(chain.fault("a.example", now + 2 * year) == "certificate has expired");
  CHECK(chain.fault("a.example", now - 2 * year) == "certificate is not yet valid");
  const Chain other;
  CHECK(chain_fault(der_to_pem(chain.leaf) + der_to_pem(chain.middle), der_to_pem(other.root), "a.example", now) != "");
  CHECK(chain_fault(der_to_pem(chain.leaf), der_to_pem(chain.root), "a.example", now) != "");
  CHECK_THROWS_AS(chain_fault("", der_to_pem(chain.root), "a.example", now), Error);
}
