// What is due, as far as storage can tell.
#include <algorithm>

#include "culmen/directory_url.hpp"
#include "culmen/stored_certificates.hpp"
#include "manager/catalogue.hpp"
#include "manager/left_out.hpp"

namespace culmen {

planner::Action next_action(const StoredCertificate& certificate, const planner::Policy& policy, planner::Time now) {
  const CertificateRecord& record = certificate.record;
  CertificateSpec spec = record.spec.value_or(CertificateSpec(record.names));
  // Without a spec, as in what the release before left, it is wanted as it is.
  if (!record.spec && !record.key_type.empty()) spec.key_types = {record.key_type};
  planner::Situation known;
  for (const std::string& ca : spec.cas) known.cas.push_back(resolve_directory_url(ca));
  if (known.cas.empty()) known.cas.push_back(record.server);
  if (record.live > 0 && record.not_before && record.not_after) {
    known.live.emplace();
    known.live->not_before = *record.not_before;
    known.live->not_after = *record.not_after;
    known.live->renewal = record.renewal;
    known.offers_renewal_info = spec.use_renewal_info && record.renewal.info.has_value();
    const bool known_ca = std::find(known.cas.begin(), known.cas.end(), record.server) != known.cas.end();
    // With several key types, the record's is the one that it is for.
    const bool is_wanted_type =
        std::find(spec.key_types.begin(), spec.key_types.end(), record.key_type) != spec.key_types.end();
    const std::string key_type = is_wanted_type || spec.key_types.empty() ? record.key_type : spec.key_types.front();
    known.outdated = manager::is_outdated(record, spec, key_type, known_ca);
  }
  known.emergency = !record.emergency.empty() || !record.revoked.empty();
  known.issued_by = record.server;
  known.renew_before = spec.renew_before;
  if (known.live) known.left_out_again = manager::next_try_of(spec, record.left_out, now);
  known.attempts = record.attempts;
  known.dice = record.dice;
  return planner::decide(known, {}, policy, now);
}

}  // namespace culmen
