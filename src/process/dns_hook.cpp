#include <algorithm>
#include <utility>

#include "culmen/dns_solver.hpp"
#include "culmen/error.hpp"
#include "culmen/program.hpp"

namespace culmen {

namespace {

constexpr auto cleanup_after_cancel = std::chrono::seconds(10);

}  // namespace

DnsHook::DnsHook(std::string program, std::chrono::seconds time_limit, CancelToken cancel)
    : program_(std::move(program)),
      time_limit_(std::max(time_limit, std::chrono::seconds(1))),
      cancel_(std::move(cancel)) {}

void DnsHook::run(std::string_view action, const ChallengeContext& context, const TxtRecord& record) const {
  const std::string doing = "running the DNS hook " + printable(program_, 200) + " " + std::string(action) + " " +
                            printable(record.name, 260);
  ProgramRun run;
  run.words = {program_, std::string(action), record.name, record.value};
  run.variables = {{"CULMEN_ACTION", std::string(action)},
                   {"CULMEN_DOMAIN", (context.wildcard ? "*." : "") + context.identifier.value},
                   {"CULMEN_RECORD_NAME", record.name},
                   {"CULMEN_RECORD_VALUE", record.value},
                   {"CULMEN_TOKEN", context.token},
                   {"CULMEN_KEY_AUTH", context.key_authorization},
                   {"CULMEN_CHALLENGE", context.type}};
  run.time_limit = time_limit_;
  if (action == "cleanup") run.after_cancel = cleanup_after_cancel;
  run_program(doing, run, cancel_);
}

}  // namespace culmen
