// What DNS servers send to the test CA: messages, and what a dns-persist-01 record says.
#include <cstddef>
#include <cstdint>
#include <string>

#include "testca/dns_message.hpp"
#include "testca/dns_validation.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto answer = testca::read_txt_answer(ByteView(data, size), "_acme-challenge.example.org", 0x4142);
  std::vector<std::string> values;
  if (answer) values = answer->values;
  values.emplace_back(reinterpret_cast<const char*>(data), size);
  testca::ValidationJob job("dns-persist-01", Identifier("dns", "example.org"), "", "");
  job.account_url = "https://ca.test/acme/acct/1";
  job.issuer_domain = "ca.test";
  for (const char* prefix : {"", "https://ca.test/ah/"}) {
    job.account_hash_prefix = prefix;
    (void)testca::judge_persist_records(job, values, 1767225600);
  }
  return 0;
}
