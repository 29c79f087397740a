// ML-DSA from end to end: an account and certificates whose keys are ML-DSA, issued by the test CA over real HTTPS.
#include <doctest/doctest.h>

#include <string>

#include "culmen/certificate.hpp"
#include "culmen/http01_solver.hpp"
#include "support/local_ca.hpp"

using namespace culmen;

TEST_CASE("ML-DSA-65 for the account and for the certificate") {
  Http01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  TestCaOptions options;
  options.http_port = solver.port();
  options.resolve["*"] = "127.0.0.1";
  LocalCa local(options);
  blocking::AcmeClient client = local.client();
  AccountOptions agreeing;
  agreeing.agree_tos = true;
  Account account = client.new_account(AccountKey::generate("ml-dsa-65"), agreeing);
  CHECK(account.key.alg() == "ML-DSA-65");

  for (const std::string type : {"ml-dsa-65", "ml-dsa-44", "ml-dsa-87", "ec:P-256"}) {
    CAPTURE(type);
    IssueRequest request{"post-quantum.example"};
    request.key_type = type;
    const IssuedCertificate issued = client.issue(account, request, solver);
    REQUIRE(issued.key.has_value());
    CHECK(issued.key->type() == type);
    CHECK(Certificate::from_pem(issued.chain_pem).matches(*issued.key));
    // What was written can be read again.
    CHECK(PrivateKey::from_pem(issued.key->to_pem()).same_key_as(*issued.key));
  }

  account = client.key_change(account, AccountKey::generate("ml-dsa-87"));
  CHECK(client.get_account(account).status == AccountStatus::valid);
  account = client.key_change(account, AccountKey::generate("ec:P-256"));
  CHECK(client.find_account(account.key).url == account.url);
}
