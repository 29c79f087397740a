#include "live_files.hpp"

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

namespace culmen::cli {

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

PresentFiles present_files(const blocking::Storage& files, const std::string& id) {
  PresentFiles present;
  for (const StoredItem& item : files.list(certificate_lease(id) + "/", {}, 1000, true)) {
    if (const auto number = generation_number_in(item.key)) present.generations.insert(*number);
    if (item.key != certificate_record_key(id)) continue;
    const Result<CertificateRecord> record = decode_certificate_record(item.stored.value);
    present.is_readable = !item.stored.revision.none() && record;
    if (!present.is_readable) continue;
    present.record = item.stored.revision;
    present.live = record->live;
  }
  return present;
}

bool is_live_already(const blocking::Storage& files, const InstalledCertificate& certificate,
                     const PresentFiles& present) {
  if (present.live == 0) return false;
  try {
    const std::optional<StoredValue> stored = files.load_one(generation_key(certificate.id, present.live));
    const Result<Generation> generation = stored ? decode_generation(stored->value) : Generation();
    return generation && generation->chain_pem == certificate.chain_pem && generation->key_pem == certificate.key_pem;
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    return false;
  }
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

void write_next_generation(const blocking::Storage& files, const InstalledCertificate& certificate,
                           const PresentFiles& present) {
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
  (void)files.write(std::move(writes));
}

}  // namespace

void write_live_files(const blocking::Storage& files, const InstalledCertificate& certificate) {
  for (int tries = 1;; ++tries) {
    const PresentFiles present = present_files(files, certificate.id);
    if (is_live_already(files, certificate, present)) return;
    try {
      return write_next_generation(files, certificate, present);
    } catch (const Error& error) {
      if (error.code() != Errc::conflict || tries == write_files_tries) throw;
    }
  }
}

}  // namespace culmen::cli
