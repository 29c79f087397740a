// What a call threw, as one text to look for parts in.
#pragma once

#include <string>

#include "culmen/error.hpp"
#include "support/text.hpp"

/// "code: what()" of the Error that `call` throws; "(nothing thrown)" when it throws none.
template <class Call>
std::string thrown_by(Call&& call) {
  try {
    static_cast<void>(call());
    return "(nothing thrown)";
  } catch (const culmen::Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
}

/// "code: what() [type: detail]…", with what the server said of the parts.
inline std::string with_problems(const culmen::Error& error) {
  std::string text = std::string(to_string(error.code())) + ": " + error.what();
  for (const culmen::Problem& problem : error.problems()) text += " [" + problem.type + ": " + problem.detail + "]";
  return text;
}
