// Refusals: problem documents on their way out (RFC 8555 §6.7).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "culmen/problem.hpp"

namespace culmen::testca {

/// `short_type` without the URN prefix.
Problem make_problem(int status, std::string_view short_type, std::string detail);

/// Several failures as one: their own type when all agree, else `compound` (RFC 8555 §6.7.1).
Problem combine(std::vector<Problem> failures, std::string detail);

boost::json::object to_json(const Problem& problem);

/// Thrown by whatever finds a request wanting; becomes the reply.
struct Refusal {
  Refusal(int status, std::string_view short_type, std::string detail)
      : problem(make_problem(status, short_type, std::move(detail))) {}
  explicit Refusal(Problem problem_) : problem(std::move(problem_)) {}
  Refusal&& with_header(std::string name, std::string value) && {
    headers.emplace_back(std::move(name), std::move(value));
    return std::move(*this);
  }

  Problem problem;
  std::vector<std::pair<std::string, std::string>> headers;
};

inline Refusal malformed(std::string detail) { return Refusal(400, "malformed", std::move(detail)); }
inline Refusal unauthorized(std::string detail) { return Refusal(403, "unauthorized", std::move(detail)); }

}  // namespace culmen::testca
