#include <algorithm>
#include <utility>

#include "culmen/dns_solver.hpp"
#include "culmen/error.hpp"
#include "process/run_program.hpp"

namespace culmen {

DnsHook::DnsHook(std::string program, std::chrono::seconds time_limit)
    : program_(std::move(program)), time_limit_(std::max(time_limit, std::chrono::seconds(1))) {}

void DnsHook::run(std::string_view action, const ChallengeContext& context, const TxtRecord& record) const {
  const std::string doing = "running the DNS hook " + printable(program_, 200) + " " + std::string(action) + " " +
                            printable(record.name, 260);
  process::Variables variables;
  variables.emplace_back("CULMEN_ACTION", action);
  variables.emplace_back("CULMEN_DOMAIN", (context.wildcard ? "*." : "") + context.identifier.value);
  variables.emplace_back("CULMEN_RECORD_NAME", record.name);
  variables.emplace_back("CULMEN_RECORD_VALUE", record.value);
  variables.emplace_back("CULMEN_TOKEN", context.token);
  variables.emplace_back("CULMEN_KEY_AUTH", context.key_authorization);
  variables.emplace_back("CULMEN_CHALLENGE", context.type);
  std::vector<std::string> words = {program_, std::string(action), record.name, record.value};
  process::run_program(doing, std::move(words), variables, time_limit_);
}

}  // namespace culmen
