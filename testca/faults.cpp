#include "testca/faults.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/json/serialize.hpp>

#include "base/time.hpp"
#include "culmen/error.hpp"
#include "culmen/identifier.hpp"
#include "testca/problem.hpp"

namespace culmen::testca {

std::optional<TestCaFault> FaultPlan::take(std::string_view resource) {
  std::optional<TestCaFault> due;
  for (TestCaFault& fault : planned_) {
    if (fault.resource != "*" && fault.resource != resource) continue;
    if (fault.skip > 0) {
      --fault.skip;
    } else if (!due && fault.times > 0) {
      --fault.times;
      due = fault;
    }
  }
  std::erase_if(planned_, [](const TestCaFault& fault) { return fault.times <= 0; });
  return due;
}

void check_faults(const TestCaFaults& faults) {
  const int sum = faults.drop_before_percent + faults.drop_after_percent + faults.server_error_percent +
                  faults.unavailable_percent + faults.rate_limited_percent + faults.garbage_percent +
                  faults.slow_percent;
  if (sum > 100)
    throw Error(Errc::invalid_argument, "setting the faults of a test CA",
                "the percentages are " + std::to_string(sum) + " together, more than 100");
  for (const std::string& name : faults.extra_names) Identifier::parse(name);
  for (const std::string& name : faults.extra_authorizations) Identifier::parse(name);
}

std::optional<TestCaFault> random_fault(const TestCaFaults& faults, State& state) {
  struct Share {
    int percent;
    TestCaFault::Kind kind;
    int status;
    const char* problem_type;
  };
  const std::array<Share, 7> shares = {{
      {faults.drop_before_percent, TestCaFault::Kind::drop_before, 0, ""},
      {faults.drop_after_percent, TestCaFault::Kind::drop_after, 0, ""},
      {faults.server_error_percent, TestCaFault::Kind::status, 500, "serverInternal"},
      {faults.unavailable_percent, TestCaFault::Kind::status, 503, ""},
      {faults.rate_limited_percent, TestCaFault::Kind::status, 429, "rateLimited"},
      {faults.garbage_percent, TestCaFault::Kind::garbage, 200, ""},
      {faults.slow_percent, TestCaFault::Kind::slow, 0, ""},
  }};
  const bool none = std::ranges::all_of(shares, [](const Share& share) { return share.percent <= 0; });
  if (none) return std::nullopt;
  int left = state.percentile();
  for (const Share& share : shares) {
    left -= share.percent;
    if (left >= 0) continue;
    TestCaFault fault("*", share.kind);
    fault.status = share.status;
    fault.problem_type = share.problem_type;
    if (share.status == 503 || share.status == 429) fault.retry_after = faults.busy_retry_after;
    fault.delay = faults.slow_delay;
    return fault;
  }
  return std::nullopt;
}

Reply faulty_reply(const TestCaFault& fault, TimePoint now) {
  Reply reply(fault.status);
  switch (fault.kind) {
    case TestCaFault::Kind::status:
      if (fault.problem_type.empty()) {
        reply.add("Content-Type", "text/html");
        reply.body = "<html><body><h1>" + std::to_string(fault.status) + "</h1></body></html>\n";
      } else {
        reply.add("Content-Type", "application/problem+json");
        reply.body = boost::json::serialize(to_json(make_problem(fault.status, fault.problem_type, "planned fault")));
      }
      break;
    case TestCaFault::Kind::slow: break;  // never in place of an answer
    case TestCaFault::Kind::drop_before:
    case TestCaFault::Kind::drop_after: reply.delivery = Reply::Delivery::close; break;
    case TestCaFault::Kind::oversized:
      reply.status = 200;
      reply.add("Content-Type", "application/json");
      reply.delivery = Reply::Delivery::endless;
      break;
    case TestCaFault::Kind::garbage:
      reply.status = 200;
      reply.add("Content-Type", "application/json");
      reply.body = "{\"status\": \"val\x01";
      break;
  }
  if (!fault.retry_after.empty()) reply.add("Retry-After", retry_after_value(fault.retry_after, now));
  return reply;
}

std::string retry_after_value(std::string_view text, TimePoint now) {
  constexpr std::string_view prefix = "date:";
  if (!text.starts_with(prefix)) return std::string(text);
  int seconds = 0;
  std::from_chars(text.data() + prefix.size(), text.data() + text.size(), seconds);
  return base::format_http_date(now + std::chrono::seconds(seconds));
}

}  // namespace culmen::testca

culmen::TestCaFaults culmen::TestCaFaults::everything(int percent_each) {
  TestCaFaults faults;
  for (int* percent : {&faults.reject_nonces_percent, &faults.drop_before_percent, &faults.drop_after_percent,
                       &faults.server_error_percent, &faults.unavailable_percent, &faults.rate_limited_percent,
                       &faults.garbage_percent, &faults.slow_percent})
    *percent = percent_each;
  return faults;
}
