#include "solvers/http01_answers.hpp"

namespace culmen::solvers {

void Http01Answers::add(std::string_view token, std::string_view key_authorization) {
  const std::lock_guard lock(mutex_);
  answers_.insert_or_assign(std::string(token), std::string(key_authorization));
}

void Http01Answers::remove(std::string_view token) {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(token);
  if (found != answers_.end()) answers_.erase(found);
}

std::optional<std::string> Http01Answers::find(std::string_view token) const {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(token);
  if (found == answers_.end()) return {};
  return found->second;
}

}  // namespace culmen::solvers
