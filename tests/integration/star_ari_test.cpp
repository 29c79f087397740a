// STAR (RFC 8739) and ARI (RFC 9773): culmen's client and the test CA, from order to end.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "base/time.hpp"
#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "culmen/renewal_info.hpp"
#include "culmen/star.hpp"
#include "support/local_ca.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

TestCaOptions believing() {
  TestCaOptions options;
  options.skip_validation = true;
  options.auto_renewal = true;
  return options;
}

Errc code_of_fetch(blocking::AcmeClient& client, const Account& account, const std::string& url) {
  try {
    client.download_star_certificate(account, url);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("fetched");
  return Errc::invalid_argument;
}

/// A STAR order with its first certificate issued.
StarOrder begun(blocking::AcmeClient& client, const Account& account, const StarOrderParams& params,
                const PrivateKey& key) {
  const StarOrder order = client.new_star_order(account, params);
  for (const std::string& url : order.authorizations) {
    const Authorization authorization = client.get_authorization(account, url);
    client.trigger_challenge(account, authorization.challenge("http-01"));
    client.poll_authorization(account, url);
  }
  const Order ready = client.poll_order(account, order.url);
  client.finalize(account, ready, build_csr(ready.identifiers, key));
  return client.get_star_order(account, order.url);
}

}  // namespace

TEST_CASE("STAR: order, authorize, finalize, fetch, fetch the next, cancel") {
  LocalCa local(believing());
  blocking::AcmeClient client = local.client();
  REQUIRE(client.directory().meta.auto_renewal);
  CHECK(client.directory().meta.auto_renewal->allow_certificate_get);
  const Account account = registered(client);
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  StarOrderParams params({Identifier::dns("star.example")}, base::format_rfc3339(local.ca.now() + 20 * 24h), 48h);
  params.lifetime_adjust = 12h;
  params.allow_certificate_get = true;
  StarOrder order = begun(client, account, params, key);
  CHECK(order.status == OrderStatus::valid);
  CHECK(order.lifetime == 48h);
  CHECK(order.lifetime_adjust == 12h);
  CHECK(order.allow_certificate_get);
  CHECK(order.certificate.empty());
  REQUIRE_FALSE(order.star_certificate.empty());

  const StarCertificate first = client.download_star_certificate(account, order.star_certificate);
  const Certificate leaf = Certificate::from_pem(first.pem);
  CHECK(leaf.matches(key));
  CHECK(first.not_before == leaf.not_before);
  CHECK(first.not_after == leaf.not_after);
  CHECK(client.get_star_certificate(order.star_certificate).pem == first.pem);

  local.ca.advance_clock(25h);
  const StarCertificate second = client.get_star_certificate(order.star_certificate);
  CHECK(Certificate::from_pem(second.pem).serial != leaf.serial);
  CHECK(Certificate::from_pem(second.pem).matches(key));
  CHECK(second.not_after == *first.not_after + 48h);

  order = client.cancel_star_order(account, order.url);
  CHECK(order.status == OrderStatus::canceled);
  CHECK(code_of_fetch(client, account, order.star_certificate) == Errc::auto_renewal_canceled);
  try {
    client.get_star_certificate(order.star_certificate);
    FAIL("fetched");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::auto_renewal_canceled);
  }
  try {
    client.cancel_star_order(account, order.url);
    FAIL("canceled twice");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::auto_renewal_cancellation_invalid);
  }
}

TEST_CASE("STAR: to its natural end, and not revoked") {
  LocalCa local(believing());
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const StarOrder order =
      begun(client, account,
            StarOrderParams({Identifier::dns("end.example")}, base::format_rfc3339(local.ca.now() + 72h), 24h), key);
  const StarCertificate current = client.download_star_certificate(account, order.star_certificate);
  try {
    client.revoke_certificate(account, Certificate::from_pem(current.pem).der);
    FAIL("revoked");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::auto_renewal_revocation_not_supported);
  }
  try {
    client.get_star_certificate(order.star_certificate);
    FAIL("fetched without an account, which was not asked for");
  } catch (const Error& error) {
    CHECK(error.http_status() == 405);
  }
  local.ca.advance_clock(71h);
  const StarCertificate last = client.download_star_certificate(account, order.star_certificate);
  CHECK(last.not_after == order.end_date);
  local.ca.advance_clock(2h);
  CHECK(code_of_fetch(client, account, order.star_certificate) == Errc::auto_renewal_expired);
  CHECK(client.get_star_order(account, order.url).status == OrderStatus::valid);
}

TEST_CASE("ARI: the window, moved by the CA, an order that replaces, and one that may not") {
  TestCaOptions options = believing();
  options.renewal_explanation_url = "https://ca.example/why";
  LocalCa local(options);
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  const auto solver = make_solver(
      "http-01", [](const ChallengeContext&) {}, [](const ChallengeContext&) {});
  const IssuedCertificate first = client.issue(account, IssueRequest{"ari.example"}, *solver);
  const Certificate leaf = Certificate::from_pem(first.chain_pem);

  const RenewalInfo usual = client.get_renewal_info(first.chain_pem);
  CHECK(usual.window_start > leaf.not_before);
  CHECK(usual.window_end < leaf.not_after);
  CHECK(usual.retry_after == 21600s);
  CHECK(usual.explanation_url == "https://ca.example/why");
  const auto now = std::chrono::system_clock::now();
  RenewalState state = updated_renewal_state({}, usual, now, 0.5);
  CHECK_FALSE(decide_renewal(leaf, state, now).renew_now);

  const auto moved = std::chrono::floor<std::chrono::seconds>(now) - 1h;
  local.ca.set_renewal_window(first.chain_pem, moved, moved + 30min);
  const RenewalInfo urgent = client.get_renewal_info(first.chain_pem);
  CHECK(urgent.window_start == moved);
  state = updated_renewal_state(state, urgent, now, 0.5);
  CHECK(decide_renewal(leaf, state, now).renew_now);

  IssueRequest renewal{"ari.example"};
  renewal.replaces = certificate_id(leaf);
  const IssuedCertificate second = client.issue(account, renewal, *solver);
  CHECK(second.order.replaces == renewal.replaces);

  // A second successor is refused by the CA, and issued without naming the predecessor.
  int dropped = 0;
  renewal.on_progress = [&dropped](const IssueProgress& progress) {
    if (progress.step == IssueProgress::Step::replaces_dropped) ++dropped;
  };
  const IssuedCertificate third = client.issue(account, renewal, *solver);
  CHECK(dropped == 1);
  CHECK(third.order.replaces.empty());
  OrderRequest by_hand(std::vector<Identifier>{Identifier::dns("ari.example")});
  by_hand.replaces = renewal.replaces;
  try {
    client.new_order(account, by_hand);
    FAIL("replaced twice");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::already_replaced);
    CHECK(error.http_status() == 409);
  }

  client.revoke_certificate(account, Certificate::from_pem(third.chain_pem).der);
  CHECK(client.get_renewal_info(third.chain_pem).window_end < std::chrono::system_clock::now());
}
