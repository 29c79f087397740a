// Records of certificates, as storage has them: what is read is written so that it is read again as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "culmen/certificate_record.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<CertificateRecord> record = decode_certificate_record(text);
  if (!record) {
    if (record.error().code() != Errc::io_failed || record.error().detail().empty()) std::abort();
    return 0;
  }
  const std::string written = encode(*record);
  const Result<CertificateRecord> again = decode_certificate_record(written);
  if (!again || encode(*again) != written) std::abort();
  if (again->live != record->live || again->attempts.size() != record->attempts.size()) std::abort();

  // And a decision can be made of it.
  planner::Situation situation;
  if (record->not_before && record->not_after) {
    situation.live.emplace();
    situation.live->not_before = *record->not_before;
    situation.live->not_after = *record->not_after;
    situation.live->renewal = record->renewal;
  }
  situation.attempts = record->attempts;
  for (const auto& each : record->attempts) situation.cas.push_back(each.first);
  situation.issued_by = record->server;
  situation.offers_renewal_info = true;
  situation.dice = record->dice;
  const planner::Time now(std::chrono::seconds(1'800'000'000));
  const planner::Action action = planner::decide(situation, {}, planner::Policy(), now);
  if (action.wake_at <= now || action.wake_at > now + std::chrono::hours(24)) std::abort();
  return 0;
}
