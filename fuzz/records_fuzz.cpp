// Records of a storage, and parts of its keys: what is accepted is written back as the same record.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "culmen/records.hpp"
#include "culmen/storage.hpp"

namespace {

template <class Record>
void check_record(const culmen::Result<Record>& record, culmen::Result<Record> (*decode)(std::string_view)) {
  if (!record) return;
  const std::string written = encode(*record);
  const culmen::Result<Record> again = decode(written);
  if (!again || encode(*again) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_record(culmen::decode_account(text), culmen::decode_account);
  check_record(culmen::decode_generation(text), culmen::decode_generation);
  check_record(culmen::decode_pending_order(text), culmen::decode_pending_order);

  if (culmen::storage_part_text(culmen::storage_part(text)) != text) std::abort();
  if (const auto meant = culmen::storage_part_text(text)) {
    if (culmen::storage_part(*meant) != text) std::abort();
  }
  return 0;
}
