// A test CA and a driver on one virtual clock, and a solver whose challenges that CA sees.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "culmen/solver.hpp"
#include "culmen/test_ca.hpp"
#include "culmen/virtual_driver.hpp"

namespace culmen::test {

/// What is presented, by token.
using VirtualWeb = std::map<std::string, std::string>;

class VirtualSolver final : public ChallengeSolver {
 public:
  explicit VirtualSolver(VirtualWeb& web) : web_(web) {}
  std::string_view type() const noexcept override { return "http-01"; }
  Flow<Result<void>> present(ChallengeContext context) override {
    web_[context.token] = context.key_authorization;
    co_return Result<void>();
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override {
    web_.erase(context.token);
    co_return Result<void>();
  }

 private:
  VirtualWeb& web_;
};

struct VirtualWorld {
  static constexpr std::chrono::system_clock::time_point start{std::chrono::seconds(1'790'000'000)};

  explicit VirtualWorld(TestCaOptions options = {}, std::chrono::milliseconds latency = std::chrono::milliseconds(20),
                        VirtualDriverOptions driver_options = {})
      : ca(connected(std::move(options))),
        driver(
            clock,
            [this, latency](const HttpRequest& request) {
              TimedResponse response = ca.handle(request);
              response.after += latency;
              return response;
            },
            driver_options) {}

  VirtualClock clock{start};
  VirtualWeb web;
  VirtualSolver solver{web};
  TestCa ca;
  VirtualDriver driver;

 private:
  TestCaOptions connected(TestCaOptions options) {
    if (options.seed == 0) options.seed = 1;
    options.clock = clock;
    if (!options.validate)
      options.validate = [this](const TestCaValidation& validation) -> std::optional<std::string> {
        const auto found = web.find(validation.token);
        if (found == web.end()) return "nothing is presented";
        if (found->second != validation.key_authorization) return "another key authorization";
        return std::nullopt;
      };
    return options;
  }
};

}  // namespace culmen::test
