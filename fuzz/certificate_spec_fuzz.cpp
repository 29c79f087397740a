// Specifications of certificates, as users write them and as they are stored.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "culmen/certificate_spec.hpp"
#include "culmen/rate_ledger.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<CertificateSpec> spec = spec_from_json(text, SpecSource::user);
  const Result<CertificateSpec> stored = spec_from_json(text, SpecSource::stored);
  if (spec && (!stored || !(*stored == *spec))) std::abort();
  for (const Result<CertificateSpec>* each : {&spec, &stored}) {
    if (!*each) {
      if (each->error().code() != Errc::invalid_argument || each->error().detail().empty()) std::abort();
      continue;
    }
    const Result<CertificateSpec> again = spec_from_json(spec_to_json(**each), SpecSource::user);
    if (!again || !(*again == **each)) std::abort();
    if (id_of(**each).empty() || certificate_ids(**each).size() != (*each)->key_types.size()) std::abort();
  }
  // The other two readers of the room.
  (void)rate_limits_from_json(text);
  if (const Result<RateLedger> ledger = RateLedger::from_json(text)) {
    if (!RateLedger::from_json(ledger->to_json())) std::abort();
  }
  return 0;
}
