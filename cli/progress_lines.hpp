// The steps of an issuance, as lines for people.
#pragma once

#include <cstddef>
#include <string>

#include "culmen/issue.hpp"
#include "culmen/manager_options.hpp"

namespace culmen::cli {

class Output;

class ProgressLines {
 public:
  /// `title` goes in front of each line: "example.com: ", or nothing. `level` is that of the steps.
  ProgressLines(Output& output, std::string id, std::string title, std::size_t names, LogLevel level);
  void show(const IssueProgress& progress);

 private:
  void name_done(const std::string& text);
  void say(const std::string& text);
  void waits(const std::string& waits_for);
  Output& output_;
  const std::string id_, title_;
  const std::size_t names_;
  const LogLevel level_;
  std::size_t done_ = 0;
};

}  // namespace culmen::cli
