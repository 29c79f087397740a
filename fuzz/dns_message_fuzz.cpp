// What DNS servers send to culmen check: messages, and what CAA records say.
#include <cstddef>
#include <cstdint>

#include "dns/caa.hpp"
#include "dns/message.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Result<dns::Message> message = dns::read_message(ByteView(data, size));
  if (!message) return 0;
  dns::RelevantCaa caa;
  caa.owner = "example.org";
  for (const dns::Record& record : message->records) {
    if (auto parsed = dns::parse_caa(record.data)) caa.records.push_back(std::move(*parsed));
  }
  dns::CaaQuestion question;
  question.identities = {"ca.example"};
  question.account = "https://ca.example/acct/1";
  question.challenge = "http-01";
  for (const bool wildcard : {false, true}) {
    question.wildcard = wildcard;
    (void)dns::obstacle_of(caa, question);
  }
  return 0;
}
