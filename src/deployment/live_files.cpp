#include "culmen/live_files.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/error.hpp"
#include "culmen/records.hpp"

namespace culmen {

namespace {

constexpr int write_files_tries = 3;  // each lost to another process of this host

/// What there is of a certificate.
struct PresentFiles {
  PresentFiles() = default;
  Revision record;  ///< None also if it cannot be read.
  bool is_readable = true;
  std::uint64_t live = 0;
  std::set<std::uint64_t> generations;
};

std::optional<std::uint64_t> generation_number_in(const std::string& key) {
  const std::string last = key.substr(key.rfind('/') + 1);
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(last.data(), last.data() + last.size(), number);
  if (failed != std::errc() || end != last.data() + last.size()) return std::nullopt;
  return number;
}

Flow<Result<PresentFiles>> present_files(Storage& files, std::string id) {
  Result<std::vector<StoredItem>> items = co_await files.list(certificate_lease(id) + "/", std::string(), 1000, true);
  if (!items) co_return items.error();
  PresentFiles present;
  for (const StoredItem& item : *items) {
    if (const auto number = generation_number_in(item.key)) present.generations.insert(*number);
    if (item.key != certificate_record_key(id)) continue;
    const Result<CertificateRecord> record = decode_certificate_record(item.stored.value);
    present.is_readable = !item.stored.revision.none() && record;
    if (!present.is_readable) continue;
    present.record = item.stored.revision;
    present.live = record->live;
  }
  co_return present;
}

/// False also if that cannot be seen. The only error is a cancellation.
Flow<Result<bool>> is_live_already(Storage& files, const InstalledCertificate& certificate,
                                   const PresentFiles& present) {
  if (present.live == 0) co_return false;
  Result<std::optional<StoredValue>> stored = co_await load_one(files, generation_key(certificate.id, present.live));
  if (!stored && stored.error().code() == Errc::cancelled) co_return stored.error();
  if (!stored || !*stored) co_return false;
  const Result<Generation> generation = decode_generation((*stored)->value);
  co_return generation && generation->chain_pem == certificate.chain_pem && generation->key_pem == certificate.key_pem;
}

/// As much as the files need, and somebody who lists them.
CertificateRecord record_for_files(const InstalledCertificate& certificate, std::uint64_t number) {
  const Certificate leaf = Certificate::from_pem(certificate.chain_pem);
  CertificateRecord record;
  record.live = record.last_generation = number;
  for (const Identifier& identifier : leaf.identifiers) record.names.push_back(identifier.value);
  record.not_before = leaf.not_before;
  record.not_after = leaf.not_after;
  return record;
}

std::vector<Write> next_generation(const InstalledCertificate& certificate, const PresentFiles& present) {
  const std::uint64_t number = (present.generations.empty() ? 0 : *present.generations.rbegin()) + 1;
  Generation generation;
  generation.chain_pem = certificate.chain_pem;
  generation.key_pem = certificate.key_pem;
  std::vector<Write> writes;
  writes.emplace_back(generation_key(certificate.id, number), encode(generation));
  writes.back().expected = Revision();
  writes.emplace_back(certificate_record_key(certificate.id), encode(record_for_files(certificate, number)));
  if (present.is_readable) writes.back().expected = present.record;
  for (const std::uint64_t old : present.generations) {
    if (old != present.live) writes.emplace_back(generation_key(certificate.id, old));
  }
  return writes;
}

}  // namespace

Flow<Result<void>> write_live_files(std::shared_ptr<Storage> files, InstalledCertificate certificate) {
  for (int tries = 1;; ++tries) {
    Result<PresentFiles> present = co_await present_files(*files, certificate.id);
    if (!present) co_return present.error();
    Result<bool> is_live = co_await is_live_already(*files, certificate, *present);
    if (!is_live) co_return is_live.error();
    if (*is_live) co_return Result<void>();
    Result<std::vector<Write>> writes = result_of([&] { return next_generation(certificate, *present); });
    if (!writes) co_return writes.error();
    Result<std::vector<Revision>> written = co_await files->write(std::move(*writes));
    if (written) co_return Result<void>();
    if (written.error().code() != Errc::conflict || tries == write_files_tries) co_return written.error();
  }
}

}  // namespace culmen
