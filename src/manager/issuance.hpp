// One attempt to issue a certificate, and what its parts share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/identifier.hpp"
#include "culmen/planner.hpp"
#include "culmen/records.hpp"
#include "manager/cas.hpp"
#include "manager/catalogue.hpp"
#include "manager/store.hpp"

namespace culmen::manager {

/// Everything about one attempt, in the frame of the worker.
struct Issuance {
  Issuance(std::shared_ptr<Entry> entry_, std::shared_ptr<Hold> hold_)
      : entry(std::move(entry_)), hold(std::move(hold_)) {}
  const CertificateSpec& spec() const { return wanted->spec; }
  /// Whether the order is for other names than the certificate that is there.
  bool other_names() const { return record.live > 0 && canonical_names(names) != canonical_names(record.names); }
  const std::string& key_type() const { return wanted->spec.key_types[type]; }

  std::shared_ptr<Entry> entry;
  std::shared_ptr<Hold> hold;
  // As it was when the attempt began: other threads may change the entry.
  std::shared_ptr<const Wanted> wanted;
  std::uint8_t type = 0;
  std::vector<std::string> names;  ///< Those of the order: of the spec, as far as they are not left out.
  bool tries_all = true;           ///< What is forced tries those that were left out, too.
  bool left_some_out = false;      ///< Names were refused, and the attempt can go on without them.
  bool outdated = false;
  bool may_be_worse = false;  ///< The new certificate may expire before the live one.
  bool key_compromised = false;

  planner::Action action;
  Ca* ca = nullptr;
  CertificateRecord record;
  Revision revision;
  std::optional<PendingOrder> pending;
  std::optional<Generation> live;
  std::optional<Account> account;
  std::shared_ptr<Attempt> attempt;  ///< As the program has prepared it.
  std::vector<ChallengeSolver*> solvers;
  std::optional<CountedOrder> counted;         ///< How the order was counted, if it was.
  std::optional<planner::Time> limited_until;  ///< No order before: by the limits of the CA, or its record is gone.
  bool reuses_key = false;
  bool refused = false;  ///< The certificate is of no use, and so is its order.
};

/// How long another process is left alone that holds the lease of a certificate.
planner::Duration held_pause(const Entry& entry);
/// Canonical, in order.
std::vector<std::string> names_of(const std::vector<Identifier>& identifiers);

}  // namespace culmen::manager
