#include "testca/problem.hpp"

#include <algorithm>

#include <boost/json/array.hpp>

namespace culmen::testca {

namespace json = boost::json;

Problem make_problem(int status, std::string_view short_type, std::string detail) {
  Problem problem;
  problem.type = "urn:ietf:params:acme:error:" + std::string(short_type);
  problem.detail = std::move(detail);
  problem.status = status;
  return problem;
}

Problem combine(std::vector<Problem> failures, std::string detail) {
  bool all_alike = std::ranges::all_of(failures, [&](const Problem& p) { return p.type == failures.front().type; });
  Problem whole = make_problem(failures.front().status, "compound", std::move(detail));
  if (all_alike) whole.type = failures.front().type;
  whole.subproblems = std::move(failures);
  return whole;
}

json::object to_json(const Problem& problem) {
  json::object out{{"type", problem.type}, {"detail", problem.detail}};
  if (problem.status) out["status"] = problem.status;
  if (!problem.instance.empty()) out["instance"] = problem.instance;
  if (problem.identifier)
    out["identifier"] = json::object{{"type", problem.identifier->type}, {"value", problem.identifier->value}};
  if (!problem.algorithms.empty())
    out["algorithms"] = json::array(problem.algorithms.begin(), problem.algorithms.end());
  if (!problem.subproblems.empty()) {
    json::array subproblems;
    for (const Problem& sub : problem.subproblems) subproblems.push_back(to_json(sub));
    out["subproblems"] = std::move(subproblems);
  }
  return out;
}

}  // namespace culmen::testca
