// culmen against Pebble, both the newest and the distribution's own: a server that shares no code with us.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/ca.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/http01_solver.hpp"
#include "support/pebble.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using pebble_test::Pebble;
using pebble_test::PebbleOptions;

namespace {

AccountOptions agreeing() {
  AccountOptions options;
  options.contacts = {"mailto:ops@example.com"};
  options.agree_tos = true;
  return options;
}

/// A client, an account and a running responder.
struct Bench {
  explicit Bench(const PebbleOptions& options = {})
      : pebble(options),
        client(pebble.directory_url(), trusting(pebble)),
        solver(pebble.http_port(), "127.0.0.1"),
        account(registered()) {
    solver.start_thread();
  }
  Account registered() {
    // The verbs send again once after badNonce; under heavy rejection a user tries again, as here.
    for (int tries = 0;; ++tries) {
      try {
        return client.new_account(AccountKey::generate("ec:P-256"), agreeing());
      } catch (const Error& error) {
        if (error.code() != Errc::bad_nonce || tries == 20) throw;
      }
    }
  }
  IssuedCertificate issue(const std::vector<std::string>& names) {
    return client.issue(account, IssueRequest(names), solver);
  }

  Pebble pebble;
  blocking::AcmeClient client;
  Http01Solver solver;
  Account account;
};

void check_chain(const IssuedCertificate& issued, const std::string& root_pem) {
  const std::vector<Certificate> chain = read_chain(issued.chain_pem);
  REQUIRE(chain.size() >= 2);
  REQUIRE(issued.key.has_value());
  CHECK(chain.front().matches(*issued.key));
  for (std::size_t i = 1; i < chain.size(); ++i) CHECK(crypto::is_signed_by(chain[i - 1].der, chain[i].der));
  const Certificate root = Certificate::from_pem(root_pem);
  const Certificate& top = chain.back();
  CHECK((top.der == root.der || crypto::is_signed_by(top.der, root.der)));
}

std::string serial_of(const IssuedCertificate& issued) {
  std::string hex = base::hex_encode(Certificate::from_pem(issued.chain_pem).serial);
  while (hex.starts_with("0")) hex.erase(0, 1);
  return hex;
}

}  // namespace

/// --pebble=NEWEST or --pebble=DISTRIBUTION, beside doctest's own options.
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("--pebble=")) pebble_test::which_pebble = word.substr(word.find('=') + 1);
  }
  doctest::Context context(argc, argv);
  return context.run();
}

TEST_CASE("one name") {
  Bench bench;
  const IssuedCertificate issued = bench.issue({"one.example.com"});
  check_chain(issued, bench.pebble.issuing_root(0));
  CHECK(Certificate::from_pem(issued.chain_pem).identifiers ==
        std::vector<Identifier>{Identifier::dns("one.example.com")});
}

TEST_CASE("a hundred names") {
  Bench bench;
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("host" + std::to_string(i) + ".example.com");
  const IssuedCertificate issued = bench.issue(names);
  check_chain(issued, bench.pebble.issuing_root(0));
  CHECK(Certificate::from_pem(issued.chain_pem).identifiers.size() == 100);
}

TEST_CASE("an IP address") {
  Bench bench;
  const IssuedCertificate issued = bench.issue({"127.0.0.1"});
  CHECK(Certificate::from_pem(issued.chain_pem).identifiers == std::vector<Identifier>{Identifier::ip("127.0.0.1")});
}

TEST_CASE("a wildcard is refused by http-01 before anything is presented") {
  Bench bench;
  try {
    bench.issue({"*.example.com"});
    FAIL("issued");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::not_offered);
    CHECK(std::string(error.what()).find("*.example.com") != std::string::npos);
    CHECK(std::string(error.what()).find("dns-01") != std::string::npos);
  }
}

TEST_CASE("an external account is required: refused without, accepted with, refused with a wrong key") {
  PebbleOptions options;
  options.external_account_required = true;
  Pebble pebble(options);
  blocking::AcmeClient client(pebble.directory_url(), trusting(pebble));
  CHECK(client.directory().meta.external_account_required);
  const AccountKey key = AccountKey::generate();
  try {
    client.new_account(key, agreeing());
    FAIL("registered without a binding");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::external_account_required);
  }
  AccountOptions wrong = agreeing();
  wrong.eab.emplace("kid-1", Bytes(32, 7));
  CHECK_THROWS_AS(client.new_account(key, wrong), Error);
  for (const char* alg : {"HS256", "HS384"}) {
    AccountOptions bound = agreeing();
    bound.eab = EabOptions::from_text("kid-1", pebble_test::eab_key, alg);
    CHECK(client.new_account(AccountKey::generate(), bound).status == AccountStatus::valid);
  }
}

TEST_CASE("three of ten nonces are refused, and every certificate is issued") {
  PebbleOptions options;
  options.reject_nonces_percent = 30;
  Bench bench(options);
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> names;
    for (int n = 0; n < 10; ++n) names.push_back("n" + std::to_string(n) + "-" + std::to_string(i) + ".example.com");
    check_chain(bench.issue(names), bench.pebble.issuing_root(0));
  }
}

TEST_CASE("authorizations that are valid already are used") {
  PebbleOptions options;
  options.reuse_authorizations_percent = 100;
  Bench bench(options);
  bench.issue({"again.example.com"});
  int presented = 0;
  IssueRequest request(std::vector<std::string>{"again.example.com"});
  request.on_progress = [&presented](const IssueProgress& progress) {
    if (progress.step == IssueProgress::Step::presented) ++presented;
  };
  const IssuedCertificate issued = bench.client.issue(bench.account, request, bench.solver);
  CHECK(presented == 0);
  check_chain(issued, bench.pebble.issuing_root(0));
}

TEST_CASE("alternate roots: offered, and the preferred one is chosen") {
  PebbleOptions options;
  options.alternate_roots = 2;
  options.chain_length = 2;
  Bench bench(options);
  const std::string wanted = Certificate::from_pem(bench.pebble.issuing_root(2)).subject_common_name;
  IssueRequest request(std::vector<std::string>{"alternate.example.com"});
  request.preferred_chain = wanted;
  const IssuedCertificate issued = bench.client.issue(bench.account, request, bench.solver);
  CHECK(topmost_issuer(issued.chain_pem) == wanted);
  check_chain(issued, bench.pebble.issuing_root(2));

  const CertificateChain standard = bench.client.download_chain(bench.account, issued.order.certificate);
  CHECK(standard.alternates.size() == 2);
  CHECK(topmost_issuer(standard.pem) == Certificate::from_pem(bench.pebble.issuing_root(0)).subject_common_name);
}

TEST_CASE("the account's key is changed to P-384 and to RSA, and the old one no longer counts") {
  Bench bench;
  const Account before = bench.account;
  bench.account = bench.client.key_change(bench.account, AccountKey::generate("ec:P-384"));
  CHECK(bench.account.key.alg() == "ES384");
  CHECK(bench.account.url == before.url);
  CHECK_THROWS_AS(bench.client.get_account(before), Error);
  check_chain(bench.issue({"rolled.example.com"}), bench.pebble.issuing_root(0));
  bench.account = bench.client.key_change(bench.account, AccountKey::generate("rsa:2048"));
  CHECK(bench.account.key.alg() == "RS256");
  check_chain(bench.issue({"rolled-again.example.com"}), bench.pebble.issuing_root(0));
  CHECK(bench.client.find_account(bench.account.key).url == before.url);
  // That a key with an account cannot become another's is for the test CA to show: Pebble 2.10 lets it.
}

TEST_CASE("accounts: found, shown, updated, deactivated") {
  Bench bench;
  CHECK(bench.client.find_account(bench.account.key).url == bench.account.url);
  try {
    bench.client.find_account(AccountKey::generate());
    FAIL("found an account that is not there");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::account_does_not_exist);
  }
  const Account updated = bench.client.update_account(
      bench.account, std::vector<std::string>{"mailto:new@example.com", "mailto:two@example.com"});
  CHECK(updated.contacts.size() == 2);
  CHECK(bench.client.update_account(bench.account, {}).contacts.empty());
  CHECK(bench.client.deactivate_account(bench.account).status == AccountStatus::deactivated);
  CHECK_THROWS_AS(bench.issue({"late.example.com"}), Error);
}

TEST_CASE("revoked with the account's key, and with the certificate's own") {
  Bench bench;
  const IssuedCertificate first = bench.issue({"first.example.com"});
  bench.client.revoke_certificate(bench.account, Certificate::from_pem(first.chain_pem).der, 4);
  CHECK(bench.pebble.status_of(serial_of(first)) == "Revoked");
  try {
    bench.client.revoke_certificate(bench.account, Certificate::from_pem(first.chain_pem).der);
    FAIL("revoked twice");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::already_revoked);
  }
  const IssuedCertificate second = bench.issue({"second.example.com"});
  CHECK(bench.pebble.status_of(serial_of(second)) == "Valid");
  bench.client.revoke_certificate_with_cert_key(*second.key, Certificate::from_pem(second.chain_pem).der, 1);
  CHECK(bench.pebble.status_of(serial_of(second)) == "Revoked");
}

TEST_CASE("every certificate key type that Pebble takes") {
  Bench bench;
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "rsa:3072", "rsa:4096"}) {
    CAPTURE(type);
    IssueRequest request(std::vector<std::string>{"keys.example.com"});
    request.key_type = type;
    check_chain(bench.client.issue(bench.account, request, bench.solver), bench.pebble.issuing_root(0));
  }
}

TEST_CASE("a name on the block list is named in the error") {
  PebbleOptions options;
  options.blocked_names = {"blocked-domain.example"};
  Bench bench(options);
  try {
    bench.issue({"fine.example.com", "www.blocked-domain.example"});
    FAIL("issued");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::rejected_identifier);
    CHECK(std::string(error.what()).find("blocked-domain.example") != std::string::npos);
  }
}

TEST_CASE("a wrong answer to the challenge: the error names the name, and nothing stays behind") {
  Bench bench;
  int cleaned = 0;
  const auto solver = make_solver(
      "http-01", [](const ChallengeContext&) {}, [&cleaned](const ChallengeContext&) { ++cleaned; });
  try {
    bench.client.issue(bench.account, IssueRequest(std::vector<std::string>{"unanswered.example.com"}), *solver);
    FAIL("issued");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::order_invalid);
    CHECK(std::string(error.what()).find("unanswered.example.com") != std::string::npos);
    CHECK(error.problems().size() >= 1);
  }
  CHECK(cleaned == 1);
}

TEST_CASE("step by step, with Retry-After, and the list of orders over its pages") {
  PebbleOptions options;
  options.retry_after = "1";
  Bench bench(options);
  std::vector<std::string> placed;
  for (int i = 0; i < 5; ++i) {
    std::vector<Identifier> identifiers;
    identifiers.push_back(Identifier::dns("listed" + std::to_string(i) + ".example.com"));
    placed.push_back(bench.client.new_order(bench.account, identifiers).url);
  }
  std::vector<std::string> listed = bench.client.list_orders(bench.account);
  std::ranges::sort(placed);
  std::ranges::sort(listed);
  CHECK(listed == placed);

  Order order = bench.client.get_order(bench.account, placed.front());
  const Authorization authorization = bench.client.get_authorization(bench.account, order.authorizations.at(0));
  const Challenge& challenge = authorization.challenge("http-01");
  bench.solver.add(challenge.token, bench.account.key_authorization(challenge.token));
  bench.client.trigger_challenge(bench.account, challenge);
  CHECK(bench.client.poll_authorization(bench.account, authorization.url).status == AuthorizationStatus::valid);
  bench.solver.remove(challenge.token);
  order = bench.client.poll_order(bench.account, order.url);
  CHECK(order.status == OrderStatus::ready);
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  order = bench.client.finalize(bench.account, order, build_csr(order.identifiers, key));
  CHECK(order.status == OrderStatus::valid);
  CHECK(Certificate::from_pem(bench.client.download_certificate(bench.account, order.certificate)).matches(key));

  const Authorization pending = bench.client.get_authorization(
      bench.account, bench.client.get_order(bench.account, placed.back()).authorizations.at(0));
  CHECK(bench.client.deactivate_authorization(bench.account, pending.url).status == AuthorizationStatus::deactivated);
}

TEST_CASE("the program issues, and does nothing while nothing is due") {
  Pebble pebble;
  culmen::test::TemporaryFolder folder;
  const std::vector<std::string> command = {cli_test::culmen_path(),
                                            "issue",
                                            "--agree-tos",
                                            "--server",
                                            pebble.directory_url(),
                                            "--server-ca",
                                            pebble.root_file(),
                                            "--dir",
                                            (folder / "state").string(),
                                            "--http-port",
                                            std::to_string(pebble.http_port()),
                                            "-d",
                                            "program.example.com"};
  const cli_test::Outcome first = cli_test::run(command);
  CHECK_MESSAGE(first.exit_code == 0, first.err);
  const cli_test::Outcome second = cli_test::run(command);
  CHECK(second.exit_code == 0);
}
