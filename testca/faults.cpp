#include "testca/faults.hpp"

#include <charconv>

#include <boost/json/serialize.hpp>

#include "base/time.hpp"
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
