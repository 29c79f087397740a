// Records as they are stored.
#include "culmen/certificate_record.hpp"

#include <limits>

#include <doctest/doctest.h>

using namespace culmen;
using namespace culmen::planner;
using namespace std::chrono_literals;

namespace {

CertificateRecord decoded(std::string_view text) {
  const Result<CertificateRecord> record = decode_certificate_record(text);
  if (!record) FAIL(record.error().what());
  return *record;
}

std::string fault_of(std::string_view text) {
  const Result<CertificateRecord> record = decode_certificate_record(text);
  if (record) return "";
  CHECK(record.error().code() == Errc::io_failed);
  return record.error().detail();
}

CertificateRecord full_record() {
  CertificateRecord record;
  record.live = 7;
  record.last_generation = 9;
  record.spec = CertificateSpec({"a.test", "b.test"});
  record.names = {"a.test", "b.test"};
  record.key_type = "ec:P-256";
  record.server = "https://ca.test/dir";
  record.account = "https://ca.test/acct/1";
  record.profile = "shortlived";
  record.must_staple = false;
  record.not_before = Time(1'800'000'000s);
  record.not_after = Time(1'807'776'000s);
  record.certificate_id = "abc.def";
  record.renewal.info.emplace();
  record.renewal.info->window_start = Time(1'804'000'000s);
  record.renewal.info->window_end = Time(1'804'100'000s);
  record.renewal.info->explanation_url = "https://ca.test/why";
  record.renewal.info->retry_after = 21'600s;
  record.renewal.chosen = Time(1'804'050'000s);
  record.renewal.next_check = Time(1'800'021'600s);
  record.renewal.answered_at = Time(1'800'000'100s);
  record.renewal.window_since = Time(1'800'000'050s);
  record.renewal.dice = 0.29;
  record.dice = 0.123456;
  Attempts& attempts = record.attempts["https://ca.test/dir"];
  attempts = updated_attempts(attempts, Failure::rate_limited, Time(1'799'999'000s), 60s);
  record.attempts["https://other.test/dir"] = updated_attempts(Attempts(), Failure::none, Time(1'799'998'000s));
  LeftOutName& left_out = record.left_out["c.test"];
  left_out.since = Time(1'799'990'000s);
  left_out.next_try = Time(1'800'003'600s);
  left_out.tries = 3;
  left_out.why = "no such name";
  record.last_error = "it \"failed\"\n\x1b[31m";
  record.revoked = "2027-01-02T03:04:05Z";
  record.emergency = "its key is compromised";
  record.key_compromised = true;
  return record;
}

}  // namespace

TEST_CASE("record: every member is written and read again") {
  const CertificateRecord before = full_record();
  const CertificateRecord after = decoded(encode(before));
  CHECK(encode(after) == encode(before));
  CHECK(after.live == 7);
  CHECK(after.last_generation == 9);
  CHECK(after.spec == before.spec);
  CHECK(after.names == before.names);
  CHECK(after.key_type == before.key_type);
  CHECK(after.server == before.server);
  CHECK(after.account == before.account);
  CHECK(after.not_before == before.not_before);
  CHECK(after.not_after == before.not_after);
  CHECK(after.certificate_id == before.certificate_id);
  REQUIRE(after.renewal.info.has_value());
  CHECK(after.renewal.info->window_start == before.renewal.info->window_start);
  CHECK(after.renewal.info->window_end == before.renewal.info->window_end);
  CHECK(after.renewal.info->explanation_url == before.renewal.info->explanation_url);
  CHECK(after.renewal.info->retry_after == before.renewal.info->retry_after);
  CHECK(after.renewal.chosen == before.renewal.chosen);
  CHECK(after.renewal.next_check == before.renewal.next_check);
  CHECK(after.renewal.answered_at == before.renewal.answered_at);
  CHECK(after.renewal.window_since == before.renewal.window_since);
  CHECK(after.renewal.dice == before.renewal.dice);
  CHECK(after.dice == before.dice);
  CHECK(after.attempts == before.attempts);
  CHECK(after.left_out == before.left_out);
  CHECK(after.last_error == before.last_error);
  CHECK(after.revoked == before.revoked);
  CHECK(after.emergency == before.emergency);
  CHECK(after.key_compromised);
  CHECK(after.unknown.empty());
}

TEST_CASE("record: what is absent has its default") {
  for (const char* text : {"{}", R"({"format":1})"}) {
    const CertificateRecord record = decoded(text);
    CHECK(encode(record) == encode(CertificateRecord()));
    CHECK(record.live == 0);
    CHECK_FALSE(record.spec.has_value());
    CHECK_FALSE(record.not_after.has_value());
    CHECK(record.dice == 0.5);
    CHECK(record.attempts.empty());
  }
  CHECK(encode(CertificateRecord()) == R"({"format":1,"live":0,"last_generation":0,"dice":500000})");
}

TEST_CASE("record: the renewal state is read as the program's renewal.json has it") {
  const CertificateRecord record = decoded(
      R"({"renewal":{"chosen":1804050000,"next_check":1800021600,"answered_at":1800000100,"window_since":1800000050,)"
      R"("dice":290000,"window_start":1804000000,"window_end":1804100000,"retry_after":21600}})");
  REQUIRE(record.renewal.info.has_value());
  CHECK(record.renewal.info->window_end == Time(1'804'100'000s));
  CHECK(record.renewal.info->retry_after == 21'600s);
  CHECK(record.renewal.dice == 0.29);
  CHECK(record.dice == 0.29);
  // Half a window is none, and what was chosen in it is nothing.
  const CertificateRecord half = decoded(R"({"renewal":{"chosen":1804050000,"window_start":1804000000}})");
  CHECK_FALSE(half.renewal.info.has_value());
  CHECK_FALSE(half.renewal.chosen.has_value());
}

TEST_CASE("record: members of a newer version survive a rewrite, also inside of others") {
  const std::string text =
      R"({"format":1,"live":3,"later":{"a":[1,2]},"spec":{"names":["a.test"],"mood":"calm"},)"
      R"("renewal":{"next_check":5,"source":"dns"},)"
      R"("attempts":{"https://ca.test/dir":{"in_a_row":2,"last":"validation","last_at":7,"node":"n1"}}})";
  CertificateRecord record = decoded(text);
  CHECK(decoded(encode(record)).unknown == record.unknown);
  record.live = 4;
  record.attempts["https://ca.test/dir"].in_a_row = 3;
  const std::string rewritten = encode(record);
  for (const char* part : {R"("later":{"a":[1,2]})", R"("mood":"calm")", R"("source":"dns")", R"("node":"n1")",
                           R"("live":4)", R"("in_a_row":3)"}) {
    CAPTURE(part);
    CHECK(rewritten.find(part) != rewritten.npos);
  }
  // With the object goes what was in it; nothing is made up in its place.
  record.attempts.clear();
  record.renewal = RenewalState();
  record.spec.reset();
  const std::string shorter = encode(record);
  CHECK(shorter.find("node") == shorter.npos);
  CHECK(shorter.find("dns") == shorter.npos);
  CHECK(shorter.find("mood") == shorter.npos);
  CHECK(shorter.find(R"("later":{"a":[1,2]})") != shorter.npos);
  // And what is known is never overwritten by what is not.
  record.unknown = R"({"live":99,"names":["evil.test"]})";
  CHECK(decoded(encode(record)).live == 4);
  record.unknown = "no JSON";
  CHECK(decoded(encode(record)).live == 4);
}

TEST_CASE("record: damage and newer formats are errors that name the member") {
  struct Row {
    const char *text, *fault;
  };
  for (const Row& row :
       {Row{"[]", "the record is not a JSON object"}, Row{R"({"live":"3"})", "live: it is not a whole number"},
        Row{R"({"live":-1})", "live: it is not a whole number from 0 to 10^15"},
        Row{R"({"last_generation":18446744073709551615})", "last_generation: it is not a whole number from 0 to 10^15"},
        Row{R"({"live":1.5})", "live: it is not a whole number"},
        Row{R"({"not_after":"2027"})", "not_after: it is not a time in seconds since 1970"},
        Row{R"({"renewal":[]})", "renewal: it is not an object"},
        Row{R"({"renewal":{"next_check":null}})", "renewal.next_check: it is not a time"},
        Row{R"({"spec":{"names":1}})", "spec.names: it is not a list of texts"},
        Row{R"({"attempts":{"https://ca.test":3}})", "attempts.https://ca.test: it is not an object"},
        Row{R"({"attempts":{"x":{"last":1}}})", "attempts.x.last: it is not a text"},
        Row{R"({"format":2})",
            "its format is 2, and this version of culmen reads formats up to 1: a newer version wrote it"}}) {
    CAPTURE(row.text);
    CHECK(fault_of(row.text).starts_with(row.fault));
  }
  for (const char* text : {"", "{", "{\"live\":", "\xff", "{\"live\":1}x"}) {
    CAPTURE(text);
    CHECK(fault_of(text).starts_with("the record is not JSON: "));
  }
  // A key type of another host, and a failure of a newer version.
  CHECK(decoded(R"({"spec":{"names":["a.test"],"key_types":["slh-dsa"]}})").spec.has_value());
  const CertificateRecord newer = decoded(R"({"attempts":{"x":{"in_a_row":4,"last":"tired"}}})");
  CHECK(newer.attempts.at("x").last == Failure::validation);
}

TEST_CASE("record: numbers and texts at their ends are written so that they can be read") {
  CertificateRecord record = full_record();
  record.live = std::numeric_limits<std::uint64_t>::max();
  record.not_before = Time::min();
  record.not_after = Time::max();
  record.dice = std::numeric_limits<double>::quiet_NaN();
  record.renewal.dice = 7;
  record.renewal.info->retry_after = std::chrono::seconds::min();
  record.attempts["\xff\xfe"] = updated_attempts(Attempts(), Failure::local, Time::max(), std::chrono::seconds::max());
  record.last_error = "half a letter \xc3";
  record.spec->challenge_options["\x80"] = std::string("a\0b", 3);
  const CertificateRecord after = decoded(encode(record));
  CHECK(encode(decoded(encode(after))) == encode(after));
  CHECK(after.attempts.contains("??"));
  CHECK(after.live == 1'000'000'000'000'000);
  CHECK(after.not_before == Time());
  CHECK(after.last_error == "half a letter ?");
  CHECK(after.spec->challenge_options.at("?").size() == 3);
  CHECK(after.dice == 0);
  CHECK(after.renewal.dice < 1.0);
  const CertificateRecord huge = decoded(R"({"not_after":9223372036854775807,"not_before":-5})");
  CHECK(huge.not_before == Time());
  CHECK(*huge.not_after > Time(7'000'000'000s));
}

TEST_CASE("record: members that are not known cannot be ones that are") {
  CertificateRecord record;
  record.unknown = R"({"names":1})";
  CHECK_THROWS_AS((void)encode(record), Error);
  record.unknown = R"({"later":1})";
  CHECK(decoded(encode(record)).unknown == record.unknown);
}
