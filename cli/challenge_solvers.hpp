// The solvers behind --challenge that are not servers: DNS records, and onion keys.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/directory.hpp"
#include "culmen/issue.hpp"
#include "culmen/solver.hpp"
#include "json_object.hpp"

namespace culmen::cli {

class Command;
class Output;

struct ChallengeFlags {
  ChallengeFlags() = default;
  bool operator==(const ChallengeFlags&) const = default;
  std::string dns_hook;
  int dns_hook_timeout = 120;
  int dns_wait = 0;
  bool manual = false;
  std::string onion_key;
  std::string onion_caa;
  std::string onion_type = "dns";
};

/// Whether `challenge` is one that make_challenge_solver() knows.
bool needs_no_server(const std::string& challenge);
/// Throws Failure (exit_usage) when the flags do not fit the challenge type.
void check_challenge_flags(const std::string& challenge, const ChallengeFlags& flags);

std::unique_ptr<ChallengeSolver> make_challenge_solver(const std::string& challenge, const ChallengeFlags& flags,
                                                       const Directory& directory, const Account& account,
                                                       const std::vector<Identifier>& identifiers, Output& output);
/// Which name is proven by which domain above it (RFC 9444).
std::map<std::string, std::string> ancestor_domains(const std::vector<std::string>& ancestors,
                                                    const std::vector<Identifier>& identifiers);
/// --onion-type; and --onion-caa, signed, where there is an onion key and the CA wants CAA records or the flag is
/// given.
void add_onion_flags(const ChallengeFlags& flags, const Directory& directory, IssueRequest& request);

/// What a renewal needs to know of them, written and read.
void note_challenge_flags(const ChallengeFlags& flags, JsonObject& challenge);
void restore_challenge_flags(const JsonObject& challenge, ChallengeFlags& flags);

}  // namespace culmen::cli
