// Names that a certificate does without, because the CA refused them: CertificateSpec::allow_subset. No clock, no I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "culmen/certificate_record.hpp"
#include "culmen/certificate_spec.hpp"
#include "culmen/error.hpp"
#include "culmen/planner.hpp"

namespace culmen::manager {

using LeftOutNames = std::map<std::string, LeftOutName>;

/// The canonical form of a name of a spec.
std::string canonical_name(const std::string& name);

/// Those of the spec that an order has without the names that are left out. All, if there would be none, and if the
/// spec does not allow a subset.
std::vector<std::string> remaining_names(const CertificateSpec& spec, const LeftOutNames& left_out);
/// The same, and with the names whose next try is now.
std::vector<std::string> names_to_try(const CertificateSpec& spec, const LeftOutNames& left_out, planner::Time now);
/// When the first of the names that are wanted and left out is to be tried again; nullopt: there is none.
std::optional<planner::Time> next_try_of(const CertificateSpec& spec, const LeftOutNames& left_out, planner::Time now);

/// Which of the names the CA refused, by its own words; canonical. Empty: it does not say, or nothing of that kind.
std::vector<std::string> refused_names(const Error& error, const std::vector<std::string>& names);
/// What the CA says of that name.
std::string refusal_of(const Error& error, const std::string& name);
/// After one more refusal. The pause doubles with each, from an hour to a day.
LeftOutName left_out_again(LeftOutName before, std::string why, planner::Time now);

}  // namespace culmen::manager
