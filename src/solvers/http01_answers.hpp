// The http-01 responses of one solver: written by the solver, read by its server.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace culmen::solvers {

/// Tokens and their key authorizations. Safe to use from any thread.
class Http01Answers {
 public:
  void add(std::string_view token, std::string_view key_authorization);
  void remove(std::string_view token);
  std::optional<std::string> find(std::string_view token) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> answers_;
};

}  // namespace culmen::solvers
