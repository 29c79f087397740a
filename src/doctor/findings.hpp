// Findings as they come.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "culmen/checkup.hpp"

namespace culmen::doctor {

class Findings {
 public:
  explicit Findings(std::function<void(const Finding&)> on_finding) : on_finding_(std::move(on_finding)) {}
  void add(Finding finding) {
    all_.push_back(std::move(finding));
    if (on_finding_) on_finding_(all_.back());
  }
  void add(Finding::Verdict verdict, std::string check, std::string subject, std::string found,
           std::string advice = {}) {
    add(Finding(verdict, std::move(check), std::move(subject), std::move(found), std::move(advice)));
  }
  const std::vector<Finding>& all() const noexcept { return all_; }

 private:
  std::function<void(const Finding&)> on_finding_;
  std::vector<Finding> all_;
};

}  // namespace culmen::doctor
