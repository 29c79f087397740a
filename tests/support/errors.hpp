// What a call threw, as one text to look for parts in.
#pragma once

#include <string>

#include "culmen/error.hpp"

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

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
