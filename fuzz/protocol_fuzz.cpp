// Everything a server can send, through every parser of the protocol room.
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/account.hpp"
#include "protocol/authorization.hpp"
#include "protocol/delegation.hpp"
#include "protocol/directory.hpp"
#include "protocol/order.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace culmen;
  static const AccountKey key = AccountKey::generate();
  const protocol::TimePoint now{std::chrono::seconds(1'800'000'000)};
  // The first line becomes headers, the rest the body.
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  HttpResponse response;
  response.status = 400;
  response.url = "https://ca.test/acme/thing";
  if (line != std::string::npos) {
    const std::string header = input.substr(0, line);
    for (const char* name : {"location", "link", "retry-after", "replay-nonce"})
      response.headers.emplace_back(name, header);
    response.body = input.substr(line + 1);
  }
  (void)protocol::error_from(response, "fuzzing", now).what();
  (void)protocol::replay_nonce(response);
  (void)protocol::parse_directory(response);
  (void)protocol::parse_new_account(response, key, "fuzzing");
  (void)protocol::parse_orders_page(response);
  (void)protocol::parse_delegations_page(response);
  (void)protocol::parse_delegation(response, "https://ca.test/acme/delegation/1");
  (void)protocol::parse_new_order(response, now);
  (void)protocol::parse_chain(response);
  if (const Result<Authorization> authorization = protocol::parse_authorization(response, "", now)) {
    (void)protocol::problems_of(*authorization);
    for (const Challenge& challenge : authorization->challenges)
      (void)protocol::challenge_after_trigger(response, challenge);
  }
  return 0;
}
