#include "culmen/error.hpp"

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>

#include "culmen/result.hpp"

namespace culmen {
namespace {

using namespace std::chrono_literals;

constexpr int code_count = static_cast<int>(Errc::unknown_acme_error);  // the first is 1

std::string urn(std::string_view name) { return "urn:ietf:params:acme:error:" + std::string(name); }

Problem problem_of(std::string type, std::string detail = {}, int status = 0) {
  Problem problem;
  problem.type = std::move(type);
  problem.detail = std::move(detail);
  problem.status = status;
  return problem;
}

Problem problem_for(std::string_view name, std::string type, std::string detail = {}) {
  Problem problem = problem_of(std::move(type), std::move(detail));
  problem.identifier = Identifier("dns", std::string(name));
  return problem;
}

TEST_CASE("Error: one that was moved from is still the same") {
  Error error = Error(problem_of(urn("rateLimited"), "slow down", 429), "creating an order")
                    .with_retry_after(7s)
                    .with_system_code(std::make_error_code(std::errc::io_error));
  const std::string said = error.what();
  const Error taken = std::move(error);
  Error assigned(Errc::timeout, "");
  assigned = std::move(error);
  for (const Error& one : {error, taken, assigned}) {
    CHECK(one.code() == Errc::rate_limited);
    CHECK(one.kind() == ErrorKind::acme);
    CHECK(one.what() == said);
    CHECK(one.doing() == "creating an order");
    CHECK(one.detail().empty());
    REQUIRE(one.problem());
    CHECK(one.problems().size() == 1);
    CHECK(one.retry_after() == 7s);
    CHECK(one.http_status() == 429);
    CHECK(one.system_code() == std::errc::io_error);
    CHECK(is_worth_retrying(one));
    CHECK(std::string(one.while_doing("renewing").what()) == "renewing: " + said);
  }
  Result<int> result(taken);
  const Result<int> moved = std::move(result);
  CHECK(result.error().what() == said);
}

TEST_CASE("Error: the sentence of our own codes") {
  CHECK(std::string(Error(Errc::timeout, "fetching the directory").what()) ==
        "fetching the directory: the server did not answer in time");
  CHECK(std::string(Error(Errc::timeout, "fetching the directory", "nothing for 30 s").what()) ==
        "fetching the directory: nothing for 30 s");
  CHECK(std::string(Error(Errc::timeout, "").what()) == "the server did not answer in time");
  const Error error(Errc::io_failed, "writing key.pem", "the disk");
  CHECK(error.doing() == "writing key.pem");
  CHECK(error.detail() == "the disk");
  CHECK(error.problem() == nullptr);
  CHECK(error.problems().empty());
  CHECK(error.http_status() == 0);
  CHECK_FALSE(error.retry_after());
  CHECK_FALSE(error.system_code());
}

TEST_CASE("Error: the sentence of a problem document") {
  CHECK(std::string(Error(problem_of(urn("unauthorized"), "account is gone", 403), "creating an order").what()) ==
        "creating an order: the CA refused: unauthorized: account is gone (HTTP 403)");
  CHECK(std::string(Error(problem_of(urn("serverInternal"), "", 500), "creating an order").what()) ==
        "creating an order: the CA failed: serverInternal (HTTP 500)");
  CHECK(std::string(Error(problem_of("about:blank", "no"), "x").what()) == "x: the CA refused: no");
  CHECK(std::string(Error(problem_of("about:blank"), "x").what()) == "x: the CA refused: no reason given");

  Problem problem = problem_of(urn("rejectedIdentifier"), "two of your names", 400);
  problem.subproblems = {problem_for("blocked.example", urn("rejectedIdentifier"), "policy"),
                         problem_for("odd.example", urn("malformed"), "syntax")};
  CHECK(std::string(Error(problem, "creating an order").what()) ==
        "creating an order: the CA refused: rejectedIdentifier: two of your names (HTTP 400; "
        "blocked.example: rejectedIdentifier: policy; odd.example: malformed: syntax)");

  Problem other = problem_of(urn("userActionRequired"), "new terms", 403);
  other.instance = "https://ca.test/tos/2";
  other.terms_of_service = "https://ca.test/tos.pdf";
  CHECK(std::string(Error(other, "creating an order").what()) ==
        "creating an order: the CA refused: userActionRequired: new terms (HTTP 403; "
        "terms of service: https://ca.test/tos.pdf; see https://ca.test/tos/2)");

  Problem algorithm = problem_of(urn("badSignatureAlgorithm"), "EdDSA", 400);
  algorithm.algorithms = {"ES256", "RS256"};
  CHECK(std::string(Error(algorithm, "x").what()).find("the CA accepts ES256, RS256") != std::string::npos);
}

TEST_CASE("Error: problems of an order and of its authorizations") {
  const Error error = Error(Errc::order_invalid, "issuing")
                          .with_problems({problem_for("a.example", urn("dns"), "no such name"),
                                          problem_for("b.example", urn("caa"), "forbidden")});
  CHECK(std::string(error.what()) ==
        "issuing: the order is invalid: a.example: dns: no such name; b.example: caa: forbidden");
  CHECK(error.problems().size() == 2);
  REQUIRE(error.problem());
  CHECK(error.problem()->detail == "no such name");
  CHECK(error.code() == Errc::order_invalid);
}

TEST_CASE("Error: the wait that the CA asks for is said in words") {
  const Error limited(problem_of(urn("rateLimited"), "too many", 429), "creating an order");
  const std::pair<std::chrono::seconds, std::string> vectors[] = {{0s, "0 s"},
                                                                  {45s, "45 s"},
                                                                  {60s, "1 min"},
                                                                  {90s, "1 min 30 s"},
                                                                  {2h + 5min + 3s, "2 h 5 min"},
                                                                  {2h + 3s, "2 h"},
                                                                  {49h, "2 d 1 h"},
                                                                  {std::chrono::seconds(-5), "0 s"}};
  for (const auto& vector : vectors) {
    const auto& wait = vector.first;
    const auto& words = vector.second;
    const std::string text = limited.with_retry_after(wait).what();
    CHECK_MESSAGE(text.find("(HTTP 429; the CA asks to wait " + words + ")") != std::string::npos, text);
  }
  CHECK(limited.with_retry_after(90s).retry_after() == 90s);
  CHECK_FALSE(limited.with_retry_after(90s).with_retry_after(std::nullopt).retry_after());
}

TEST_CASE("Error: builders change a copy only") {
  const Error first(Errc::io_failed, "writing key.pem");
  const Error second = first.while_doing("issuing for a.example")
                           .with_system_code(std::make_error_code(std::errc::no_space_on_device))
                           .with_http_status(500);
  CHECK(first.doing() == "writing key.pem");
  CHECK_FALSE(first.system_code());
  CHECK(second.doing() == "issuing for a.example: writing key.pem");
  CHECK(second.system_code() == std::errc::no_space_on_device);
  CHECK(second.http_status() == 500);
  CHECK(std::string(second.what()) ==
        "issuing for a.example: writing key.pem: the system reports an error (HTTP 500; No space left on device)");
  CHECK(Error(Errc::timeout, "").while_doing("outer").doing() == "outer");
}

TEST_CASE("Error: a problem lives as long as any copy") {
  std::optional<Error> copy;
  const Problem* seen = nullptr;
  {
    const Error original(problem_of(urn("caa"), "forbidden"), "x");
    copy = original;
    seen = original.problem();
  }
  CHECK(copy->problem() == seen);
  CHECK(seen->detail == "forbidden");
}

TEST_CASE("Error: the sentence is one short printable line whatever the server says") {
  Problem hostile = problem_of(urn("malformed\x1b[31m\r\n"), std::string(1 << 20, 'A') + "\n");
  hostile.instance = std::string(1 << 20, 'B');
  hostile.terms_of_service = "\x1b]0;title\x07";
  for (int i = 0; i < 5000; ++i)
    hostile.subproblems.push_back(problem_for("a\r\nb.example", "x\ty", std::string(5000, 'C')));
  for (const Error& error : {Error(hostile, "creating\nan order"),
                             Error(Errc::order_invalid, "x", "y\n").with_problems(std::vector<Problem>(50, hostile))}) {
    const std::string text = error.what();
    CHECK(text.size() < 100'000);
    for (char c : text) REQUIRE((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
  }
  CHECK(std::string(Error(hostile, "x").what()).size() < 10'000);
  CHECK(std::string(Error(hostile, "x").what()).find("and 4990 more") != std::string::npos);
}

TEST_CASE("Errc: each code has a name of its own and a kind") {
  std::set<std::string_view> names;
  for (int i = 1; i <= code_count; ++i) names.insert(to_string(static_cast<Errc>(i)));
  CHECK(names.size() == static_cast<std::size_t>(code_count));
  CHECK(names.count("") == 0);
  CHECK(to_string(Errc::order_invalid) == "order_invalid");
  CHECK(to_string(Errc::bad_nonce) == "bad_nonce");

  const auto kind = [](Errc code) { return to_string(Error(code, "x").kind()); };
  for (Errc code : {Errc::connection_failed, Errc::tls_failed, Errc::timeout, Errc::response_too_large,
                    Errc::bad_response, Errc::http_status, Errc::deadline, Errc::cancelled})
    CHECK(kind(code) == "http");
  for (Errc code : {Errc::crypto_failed, Errc::unsupported_key_type}) CHECK(kind(code) == "crypto");
  CHECK(kind(Errc::jose_failed) == "jose");
  for (Errc code : {Errc::io_failed, Errc::solver_failed}) CHECK(kind(code) == "io");
  for (Errc code : {Errc::not_offered, Errc::order_invalid, Errc::authorization_invalid, Errc::invalid_argument})
    CHECK(kind(code) == "acme");
  for (int i = static_cast<int>(Errc::account_does_not_exist); i <= code_count; ++i)
    CHECK(kind(static_cast<Errc>(i)) == "acme");
}

TEST_CASE("Errc: an error_code with a category, conditions of the system and of our own") {
  const std::error_code code = Errc::timeout;
  CHECK(code);
  CHECK(&code.category() == &acme_category());
  CHECK(code.category().name() == std::string("culmen"));
  CHECK(code.message() == "the server did not answer in time");
  CHECK(code == Errc::timeout);
  CHECK(code == std::errc::timed_out);
  CHECK(code != std::errc::operation_canceled);
  CHECK(std::error_code(Errc::cancelled) == std::errc::operation_canceled);
  CHECK(std::error_code(Errc::invalid_argument) == std::errc::invalid_argument);
  CHECK(std::error_code(Errc::not_offered) == std::errc::not_supported);

  CHECK(code == ErrorCondition::temporary);
  CHECK(Errc::timeout == ErrorCondition::temporary);
  CHECK(Error(Errc::caa, "x").code() != ErrorCondition::temporary);
  CHECK(code != ErrorCondition::from_server);
  CHECK(std::error_code(Errc::bad_nonce) == ErrorCondition::temporary);
  CHECK(std::error_code(Errc::caa) == ErrorCondition::from_server);
  CHECK(std::error_code(Errc::caa).message() == "caa");
  CHECK(std::error_code(Errc::unknown_acme_error) == ErrorCondition::from_server);
  CHECK(std::error_code(Errc::unknown_acme_error).message() == "unknown_acme_error");
  CHECK(std::error_code(Errc::invalid_argument) != ErrorCondition::temporary);
  CHECK(std::make_error_code(std::errc::timed_out) != ErrorCondition::temporary);
  CHECK(std::error_code() != ErrorCondition::from_server);
}

TEST_CASE("Errc: every registered type, and only by the full URN") {
  const std::pair<std::string, Errc> registered[] = {
      {"accountDoesNotExist", Errc::account_does_not_exist},
      {"alreadyReplaced", Errc::already_replaced},
      {"alreadyRevoked", Errc::already_revoked},
      {"autoRenewalCanceled", Errc::auto_renewal_canceled},
      {"autoRenewalCancellationInvalid", Errc::auto_renewal_cancellation_invalid},
      {"autoRenewalExpired", Errc::auto_renewal_expired},
      {"autoRenewalRevocationNotSupported", Errc::auto_renewal_revocation_not_supported},
      {"badAttestationStatement", Errc::bad_attestation_statement},
      {"badCSR", Errc::bad_csr},
      {"badNonce", Errc::bad_nonce},
      {"badPublicKey", Errc::bad_public_key},
      {"badRevocationReason", Errc::bad_revocation_reason},
      {"badSignatureAlgorithm", Errc::bad_signature_algorithm},
      {"caa", Errc::caa},
      {"compound", Errc::compound},
      {"connection", Errc::connection},
      {"dns", Errc::dns},
      {"externalAccountRequired", Errc::external_account_required},
      {"incorrectResponse", Errc::incorrect_response},
      {"invalidContact", Errc::invalid_contact},
      {"invalidProfile", Errc::invalid_profile},
      {"malformed", Errc::malformed},
      {"onionCAARequired", Errc::onion_caa_required},
      {"orderNotReady", Errc::order_not_ready},
      {"rateLimited", Errc::rate_limited},
      {"rejectedIdentifier", Errc::rejected_identifier},
      {"serverInternal", Errc::server_internal},
      {"tls", Errc::tls},
      {"unauthorized", Errc::unauthorized},
      {"unknownDelegation", Errc::unknown_delegation},
      {"unsupportedContact", Errc::unsupported_contact},
      {"unsupportedIdentifier", Errc::unsupported_identifier},
      {"userActionRequired", Errc::user_action_required},
  };
  CHECK(std::size(registered) == static_cast<std::size_t>(code_count - static_cast<int>(Errc::account_does_not_exist)));
  for (const auto& vector : registered) {
    const auto& name = vector.first;
    const auto& code = vector.second;
    CAPTURE(name);
    CHECK(errc_from_type(urn(name)) == code);
    CHECK(errc_from_type(name) == Errc::unknown_acme_error);
    CHECK(errc_from_type(urn(name) + " ") == Errc::unknown_acme_error);
    CHECK(Error(problem_of(urn(name)), "x").code() == code);
    CHECK(problem_of(urn(name)).short_type() == name);
  }
  for (const std::string& type :
       {std::string(), std::string("about:blank"), urn(""), urn("conflict"), urn("BadNonce"), urn("timeout"),
        std::string("urn:acme:error:badNonce"), std::string("urn:ietf:params:acme:error"), "x" + urn("badNonce")}) {
    CAPTURE(type);
    CHECK(errc_from_type(type) == Errc::unknown_acme_error);
    CHECK(problem_of(type).short_type() == (type == urn("conflict") || type == urn("BadNonce") || type == urn("timeout")
                                                ? type.substr(urn("").size())
                                                : type));
  }
}

TEST_CASE("is_worth_retrying: what passes by itself, and what does not") {
  const std::set<Errc> temporary = {
      Errc::deadline,     Errc::connection_failed, Errc::timeout,         Errc::bad_nonce, Errc::connection, Errc::dns,
      Errc::rate_limited, Errc::server_internal,   Errc::order_not_ready, Errc::conflict,  Errc::held};
  for (int i = 0; i < code_count; ++i) {
    const Errc code = static_cast<Errc>(i);
    CAPTURE(to_string(code));
    CHECK(is_worth_retrying(Error(code, "x")) == (temporary.count(code) == 1));
  }
}

TEST_CASE("is_worth_retrying: a bare status decides where there is no known type") {
  for (int status : {408, 429, 500, 502, 503, 504, 520}) {
    CAPTURE(status);
    CHECK(is_worth_retrying(Error(Errc::http_status, "x").with_http_status(status)));
    CHECK(is_worth_retrying(Error(problem_of("about:blank", "", status), "x")));
    CHECK(is_worth_retrying(Error(problem_of(urn("somethingNew"), "", status), "x")));
  }
  for (int status : {0, 301, 400, 401, 403, 404, 405, 409, 413, 501, 505}) {
    CAPTURE(status);
    CHECK_FALSE(is_worth_retrying(Error(Errc::http_status, "x").with_http_status(status)));
    CHECK_FALSE(is_worth_retrying(Error(problem_of("about:blank", "", status), "x")));
  }
  // A known type says more than the status.
  CHECK_FALSE(is_worth_retrying(Error(problem_of(urn("caa"), "", 503), "x")));
  CHECK(is_worth_retrying(Error(problem_of(urn("rateLimited"), "", 400), "x")));
}

TEST_CASE("is_worth_retrying: an invalid order passes later when each of its problems is temporary") {
  const Error order(Errc::order_invalid, "x");
  const Problem dns = problem_for("a.example", urn("dns"));
  const Problem caa = problem_for("b.example", urn("caa"));
  CHECK_FALSE(is_worth_retrying(order));
  CHECK(is_worth_retrying(order.with_problems({dns})));
  CHECK(is_worth_retrying(order.with_problems({dns, dns})));
  CHECK_FALSE(is_worth_retrying(order.with_problems({dns, caa})));

  Problem compound = problem_of(urn("compound"));
  CHECK_FALSE(is_worth_retrying(Error(compound, "x")));
  compound.subproblems = {dns};
  CHECK(is_worth_retrying(Error(compound, "x")));
  CHECK(is_worth_retrying(order.with_problems({compound})));
  compound.subproblems = {dns, caa};
  CHECK_FALSE(is_worth_retrying(Error(compound, "x")));
  CHECK_FALSE(is_worth_retrying(order.with_problems({compound})));
}

TEST_CASE("printable: control characters, broken UTF-8 and turned text are replaced") {
  CHECK(printable("plain text, 100 %") == "plain text, 100 %");
  CHECK(printable("a\r\nb\tc\x1b[31md\x7f") == "a??b?c?[31md?");
  CHECK(printable(std::string_view("a\0b", 3)) == "a?b");
  CHECK(printable("b\xc3\xbc"
                  "cher \xe4\xbe\x8b \xf0\x9f\x94\x91") ==
        "b\xc3\xbc"
        "cher \xe4\xbe\x8b \xf0\x9f\x94\x91");
  CHECK(printable("a\xc2\x9b"
                  "31m") == "a?31m");  // CSI as one character
  CHECK(printable("a\xe2\x80\xae"
                  "b\xe2\x80\xa8"
                  "c") == "a?b?c");  // right-to-left override, line separator
  CHECK(printable("a\xff\xfe"
                  "b\xc3") == "a??b?");
  CHECK(printable("\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf4\x90\x80\x80") == std::string(12, '?'));
}

TEST_CASE("printable: cut at the limit, never within a character") {
  CHECK(printable("abcdef", 6) == "abcdef");
  CHECK(printable("abcdefg", 6) == "abcdef…");
  CHECK(printable("abcde\xc3\xbc", 6) == "abcde…");
  CHECK(printable("abcd\xc3\xbc", 6) == "abcd\xc3\xbc");
  CHECK(printable("", 0) == "");
  CHECK(printable("a", 0) == "…");
  CHECK(printable(std::string(1 << 20, 'x')).size() == 403);
}

TEST_CASE("Result: a value or the error that came instead") {
  Result<int> value = 7;
  CHECK(value);
  CHECK(*value == 7);
  Result<int> none = Error(Errc::timeout, "x");
  CHECK_FALSE(none);
  CHECK(none.error().code() == Errc::timeout);
  CHECK(value.value() == 7);
  CHECK(std::move(value).value() == 7);
  CHECK_THROWS_AS(none.value(), Error);
  CHECK_THROWS_AS(std::move(none).value(), Error);
  Result<void> nothing;
  CHECK_NOTHROW(nothing.value());
  nothing = Error(Errc::timeout, "x");
  CHECK_THROWS_AS(nothing.value(), Error);
  const auto caught = result_of([]() -> int { throw Error(Errc::caa, "x"); });
  CHECK(caught.error().code() == Errc::caa);
  CHECK(result_of([] {}).has_value());
}

#ifndef NDEBUG
TEST_CASE("Result: in a debug build, a forgotten check ends the program") {
  const auto ends = [](void (*access)()) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGABRT, SIG_DFL);
      ::close(STDERR_FILENO);
      access();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  };
  CHECK(ends([] { (void)*Result<int>(Error(Errc::timeout, "x")); }));
  CHECK(ends([] { (void)Result<int>(7).error(); }));
  CHECK(ends([] { (void)Result<void>().error(); }));
}
#endif

}  // namespace
}  // namespace culmen
