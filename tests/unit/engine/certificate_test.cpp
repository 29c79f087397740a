// What the CA sends at the end, compared with what was asked for.
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "support/issue_run.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

namespace {

std::string refusal_of(Run& run) {
  const Result<IssuedCertificate> issued = run.go();
  if (issued) return "issued";
  CHECK(issued.error().code() == Errc::bad_response);
  return issued.error().what();
}

bool contains_text(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("certificates: one that is not what was asked for is refused, with the reason") {
  const std::pair<std::function<void(FakeCa&)>, std::string> wrong[] = {
      {[](FakeCa& ca) { ca.other_key = PrivateKey::generate().public_key_der(); }, "not for our key"},
      {[](FakeCa& ca) { ca.missing_names = {"b.example.com"}; }, "does not name b.example.com"},
      {[](FakeCa& ca) { ca.extra_names = {"evil.example.com"}; }, "names evil.example.com, which was not asked for"},
      {[](FakeCa& ca) { ca.extra_names = {"*.example.com"}; }, "names *.example.com"},
      {[](FakeCa& ca) { ca.valid_until = -60s; }, "expired"},
      {[](FakeCa& ca) { ca.valid_from = ca.valid_until = 0s; }, "never valid"},
      {[](FakeCa& ca) { ca.valid_from = 10h, ca.valid_until = 5h; }, "never valid"},
      {[](FakeCa& ca) { ca.valid_from = 24h, ca.valid_until = 240h; }, "is the clock of this machine right?"},
  };
  for (const auto& [make_wrong, expected] : wrong) {
    const std::string reason = expected;
    CAPTURE(reason);
    Run run({"a.example.com", "b.example.com"});
    make_wrong(run.ca);
    const std::string refusal = refusal_of(run);
    CAPTURE(refusal);
    CHECK(contains_text(refusal, reason));
  }
}

TEST_CASE("certificates: a clock that is a little off, and other spellings of names, are no trouble") {
  Run run({"a.example.com"});
  run.ca.valid_from = 30min;
  CHECK(run.go().has_value());
  Run spelled({"a.example.com"});
  spelled.request.identifiers = {Identifier("dns", "A.Example.COM")};
  CHECK(spelled.go().has_value());
}

TEST_CASE("certificates: with a CSR it is for the CSR's key, also when the order is of an earlier run") {
  const PrivateKey key = PrivateKey::generate();
  Run run({"a.example.com"});
  run.request.csr = build_csr({"a.example.com"}, key);
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE(issued.has_value());
  CHECK(issued->chain.leaf.matches(key));
  CHECK_FALSE(issued->key.has_value());

  Run other({"a.example.com"});
  other.request.csr = run.request.csr;
  other.ca.other_key = PrivateKey::generate().public_key_der();
  CHECK(contains_text(refusal_of(other), "not for the key of the CSR"));

  // An order that was finalized with another key: its certificate is refused, and an order is placed anew.
  Run earlier({"a.example.com"});
  REQUIRE(earlier.go().has_value());
  Run later({"a.example.com"});
  later.ca = earlier.ca;
  later.ca.log.clear();
  later.request.csr = run.request.csr;
  later.request.resume_order = earlier.kept_orders.at(0);
  CHECK(contains_text(refusal_of(later), "not for the key of the CSR"));
  CHECK(later.count("POST /new-order") == 1);
}

TEST_CASE("certificates: what was asked for and ignored is in the warnings") {
  using Times = std::chrono::system_clock::time_point;
  const Times now = FakeCa({}).now;
  Run run({"a.example.com"});
  run.ca.directory_meta = R"({"profiles":{"short":"6 days"}})";
  run.request.csr_options.must_staple = true;
  run.request.profile = "short";
  run.request.not_before = now + 30min;
  run.request.not_after = now + 2h;
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_MESSAGE(issued.has_value(), (issued ? "" : issued.error().what()));
  REQUIRE(issued->warnings.size() == 4);
  CHECK(contains_text(issued->warnings[0], "must-staple"));
  CHECK(contains_text(issued->warnings[1], "the profile \"short\""));
  CHECK(contains_text(issued->warnings[2], "valid from"));
  CHECK(contains_text(issued->warnings[3], "valid until"));

  Run obeyed({"a.example.com"});
  obeyed.ca.directory_meta = run.ca.directory_meta;
  obeyed.ca.must_staple = true;
  obeyed.ca.order_profile = "short";
  obeyed.ca.valid_from = 30min;
  obeyed.ca.valid_until = 2h;
  obeyed.request = run.request;
  obeyed.request.csr = build_csr({Identifier::dns("a.example.com")}, PrivateKey::generate(), run.request.csr_options);
  const Result<IssuedCertificate> as_asked = obeyed.go();
  REQUIRE_MESSAGE(as_asked.has_value(), (as_asked ? "" : as_asked.error().what()));
  CHECK(as_asked->warnings.empty());
}
