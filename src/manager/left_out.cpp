#include "manager/left_out.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "culmen/identifier.hpp"

namespace culmen::manager {

namespace {

using std::chrono::hours;
constexpr hours first_absence(1), longest_absence(24);

/// A time that is further ahead than any pause comes from a wrong clock.
bool is_later(planner::Time next_try, planner::Time now) { return next_try > now && next_try - now <= longest_absence; }

bool is_part_of_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '*' || c == ':';
}

/// As a word of its own, which a full stop or a colon may end.
bool mentions(std::string_view text, std::string_view name) {
  for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const bool begins = at == 0 || !is_part_of_name(text[at - 1]);
    const std::string_view rest = text.substr(at + name.size());
    const bool stops =
        (rest.starts_with('.') || rest.starts_with(':')) && (rest.size() == 1 || !is_part_of_name(rest[1]));
    if (begins && (rest.empty() || stops || !is_part_of_name(rest.front()))) return true;
  }
  return false;
}

/// Whether it is about that name. Authorizations of wildcards have the name without "*.".
bool is_about(const Problem& problem, const std::string& name) {
  if (problem.identifier) {
    const std::string& value = problem.identifier->value;
    return value == name || "*." + value == name;
  }
  return problem.subproblems.empty() && mentions(problem.detail, name);
}

/// The first problem that is about that name.
const Problem* problem_of(const std::vector<Problem>& problems, const std::string& name) {
  for (const Problem& problem : problems) {
    if (is_about(problem, name)) return &problem;
    if (const Problem* inner = problem_of(problem.subproblems, name)) return inner;
  }
  return nullptr;
}

template <class IsOut>
std::vector<std::string> names_without(const CertificateSpec& spec, const LeftOutNames& left_out, IsOut is_out) {
  if (!spec.allow_subset || left_out.empty()) return spec.names;
  std::vector<std::string> names;
  for (const std::string& name : spec.names) {
    const auto known = left_out.find(canonical_name(name));
    if (known == left_out.end() || !is_out(known->second)) names.push_back(name);
  }
  return names.empty() ? spec.names : names;
}

}  // namespace

std::string canonical_name(const std::string& name) {
  const Result<Identifier> identifier = result_of([&] { return Identifier::parse(name); });
  return identifier ? identifier->value : name;
}

std::vector<std::string> remaining_names(const CertificateSpec& spec, const LeftOutNames& left_out) {
  return names_without(spec, left_out, [](const LeftOutName&) { return true; });
}

std::vector<std::string> names_to_try(const CertificateSpec& spec, const LeftOutNames& left_out, planner::Time now) {
  return names_without(spec, left_out, [now](const LeftOutName& name) { return is_later(name.next_try, now); });
}

std::optional<planner::Time> next_try_of(const CertificateSpec& spec, const LeftOutNames& left_out, planner::Time now) {
  std::optional<planner::Time> next;
  if (!spec.allow_subset || left_out.empty()) return next;
  for (const std::string& name : spec.names) {
    const auto known = left_out.find(canonical_name(name));
    if (known == left_out.end()) continue;
    const planner::Time at = is_later(known->second.next_try, now) ? known->second.next_try : now;
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

std::vector<std::string> refused_names(const Error& error, const std::vector<std::string>& names) {
  const planner::Failure failure = planner::failure_of(error);
  if (failure != planner::Failure::validation && failure != planner::Failure::ca_refused) return {};
  std::vector<std::string> refused;
  for (const std::string& name : names) {
    std::string canonical = canonical_name(name);
    if (problem_of(error.problems(), canonical)) refused.push_back(std::move(canonical));
  }
  return refused;
}

std::string refusal_of(const Error& error, const std::string& name) {
  const Problem* problem = problem_of(error.problems(), name);
  if (!problem) return error.what();
  return printable(problem->detail.empty() ? problem->short_type()
                                           : problem->detail + " (" + problem->short_type() + ")");
}

LeftOutName left_out_again(LeftOutName before, std::string why, planner::Time now) {
  planner::Duration pause = first_absence;
  for (unsigned i = 0; i < before.tries && pause < longest_absence; ++i) pause *= 2;
  LeftOutName after;
  after.since = before.tries == 0 ? now : before.since;
  after.tries = before.tries + (before.tries < 1'000'000 ? 1u : 0u);
  after.next_try = now + std::min<planner::Duration>(pause, longest_absence);
  after.why = std::move(why);
  return after;
}

}  // namespace culmen::manager
