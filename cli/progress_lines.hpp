// The steps of an issuance, as lines for people.
#pragma once

#include <cstddef>
#include <string>

#include "culmen/issue.hpp"

namespace culmen::cli {

class Output;

class ProgressLines {
 public:
  /// `title` goes in front of each line: "example.com: ", or nothing.
  ProgressLines(Output& output, std::string title, std::size_t names);
  void show(const IssueProgress& progress);

 private:
  void name_done(const std::string& text);
  Output& output_;
  std::string title_;
  std::size_t names_, done_ = 0;
};

}  // namespace culmen::cli
