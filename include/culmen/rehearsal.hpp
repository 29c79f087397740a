// A manager in the time to come: what it would renew and when, and what would fail. In culmen::testca.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/manager_options.hpp"
#include "culmen/stored_certificates.hpp"

namespace culmen {

/// What a CA issues from a day on. A plain value.
struct CaTerms {
  CaTerms() = default;
  std::string ca;       ///< Directory URL.
  std::string profile;  ///< Empty: what is issued without one.
  planner::Time from;
  std::chrono::seconds certificate_lifetime{0};
  std::chrono::seconds authorization_lifetime{0};  ///< How long a validation is reused.
};

/// What CAs have announced, and what they issue now. Data.
const std::vector<CaTerms>& known_ca_terms();
/// Those that hold at that time; nullptr if nothing is known about this CA and profile.
const CaTerms* ca_terms_at(const std::vector<CaTerms>& terms, std::string_view ca, std::string_view profile,
                           planner::Time at);
/// The longest lifetime of publicly trusted certificates at that time (CA/Browser Forum, ballot SC-081).
std::chrono::seconds longest_public_lifetime(planner::Time at);

/// A time in which a CA does not answer. A plain value.
struct CaOutage {
  CaOutage() = default;
  planner::Time from, until;
  std::string ca;  ///< Directory URL; empty: all.
  bool contains(std::string_view directory, planner::Time at) const {
    return from <= at && at < until && (ca.empty() || ca == directory);
  }
};
/// Outages of all CAs of 1 to 72 hours within that time. The same seed gives the same ones.
std::vector<CaOutage> random_outages(std::size_t count, std::uint64_t seed, planner::Time from, planner::Time until);

/// A plain value.
struct RehearsalOptions {
  RehearsalOptions() = default;
  planner::Time from, until;  ///< At most five years.
  /// From one Manager::run_once() to the next; at least 1 min. 0: as soon as something is due, as Manager::run() does.
  std::chrono::seconds every{std::chrono::hours(12)};
  std::uint64_t seed = 1;  ///< The same seed gives the same rehearsal.
  std::vector<CaTerms> terms = known_ca_terms();
  std::vector<CaOutage> outages;
  /// Called after each run with the time. What it throws ends the rehearsal. May be empty.
  std::function<void(planner::Time)> after_run;
};

/// What becomes of one certificate. A plain value.
struct RehearsedCertificate {
  RehearsedCertificate() = default;

  /// From when it counts to when it expires.
  struct Life {
    Life() = default;
    planner::Time from, until;
    std::string ca;  ///< Directory URL.
  };
  /// Attempts in a row that did not succeed.
  struct Trouble {
    Trouble() = default;
    planner::Time from;                  ///< Of the first.
    std::optional<planner::Time> until;  ///< When it was issued after all.
    unsigned attempts = 0;               ///< That failed; 0: it was due, and could not be ordered.
    std::string ca;                      ///< Of the first.
    std::string why;                     ///< Of the last.
    bool in_outage = false;              ///< Those that failed were all in an outage of their CA.
  };
  /// What is left of a certificate when its successor counts; negative: it had expired.
  struct Margin {
    Margin() = default;
    std::chrono::seconds left{0};
    planner::Time at;
  };

  std::string id;
  std::string profile;      ///< That is asked for; empty: none.
  std::vector<Life> lives;  ///< The first is the one in storage, if there is one.
  bool was_there = false;   ///< There was one.
  // On record before the rehearsal.
  unsigned failures = 0;     ///< Attempts in a row that failed.
  std::string last_failure;  ///< Of the last attempt; empty: it succeeded, or there was none.
  std::vector<Trouble> troubles;
  std::vector<planner::Time> late;  ///< See planner::Action::late.

  /// The number of certificates that were issued.
  std::size_t issued() const noexcept { return lives.size() - (was_there ? 1 : 0); }
  /// The least of all; nullopt if nothing was renewed, and nothing has expired before `end`.
  std::optional<Margin> least_margin(planner::Time end) const;
  /// Whether it was no more than held up, by an outage or a limit: meanwhile it neither became late nor expired, and
  /// there is a certificate at `end`. `trouble` has to be one of `troubles`.
  bool is_outlasted(const Trouble& trouble, planner::Time end) const;
  /// Whether something goes wrong that an operator has to know of: it is late, expires, is not issued at the end, or an
  /// attempt fails without an outage. An outage that is outlasted is no failure.
  bool fails(planner::Time end) const;
};

/// Runs a manager in virtual time with the real planner, limits and back-off, against test CAs in place of the real
/// ones, as a program does that a timer starts. Opens no socket and starts no thread.
///
/// `certificates` are copied to memory, in place of ManagerOptions::storage. Accounts, orders in progress and what was
/// used of rate limits are not. The CAs have the directory URLs and the limits of the real ones. Challenges are
/// answered here, whatever the solvers are, except onion-csr-01: validation succeeds, and no name is refused. A CA
/// without terms issues certificates that live as long as the present one of the same names, or 90 days; of publicly
/// trusted CAs no longer than their rules allow. The renewal window that is on record for a present certificate holds.
///
/// Callbacks of the options are called on this thread. Throws Error: invalid_argument for options that are not valid,
/// and if present certificates live so short that there would be more than 100,000 renewals.
std::vector<RehearsedCertificate> rehearse(ManagerOptions manager, const std::vector<StoredCertificate>& certificates,
                                           const RehearsalOptions& options);

}  // namespace culmen
