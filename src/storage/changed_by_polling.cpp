#include "culmen/storage_engine.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace culmen::storage {

namespace {

constexpr std::size_t poll_page = 1000;

/// FNV-1a: two lists with the same digest by chance are as good as impossible, and nobody gains by making them.
void add_to_digest(std::uint64_t& digest, std::string_view text) {
  for (const char c : text) {
    digest ^= static_cast<unsigned char>(c);
    digest *= 0x100000001b3;
  }
  digest *= 0x100000001b3;  // between two texts
}

Flow<Result<std::string>> digest_below(Storage& storage, std::string prefix) {
  std::uint64_t digest = 0xcbf29ce484222325;
  std::string after;
  for (;;) {
    Result<std::vector<StoredItem>> page = co_await storage.list(prefix, after, poll_page, false);
    if (!page) co_return page.error();
    for (const StoredItem& item : *page) {
      add_to_digest(digest, item.key);
      add_to_digest(digest, item.stored.revision.text);
    }
    if (page->size() < poll_page) co_return std::to_string(digest);
    after = page->back().key;
  }
}

}  // namespace

Flow<Result<std::string>> changed_by_polling(Storage& storage, std::string prefix, std::string cursor,
                                             std::chrono::seconds patience, std::chrono::milliseconds interval) {
  const Instant begin = co_await now();
  const std::chrono::steady_clock::time_point end = begin.steady + clamped(patience);
  for (;;) {
    Result<std::string> present = co_await digest_below(storage, prefix);
    if (!present || *present != cursor) co_return present;
    const Instant time = co_await now();
    if (time.steady >= end) co_return present;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - time.steady);
    Result<void> waited = co_await wait(std::min(interval, left));
    if (!waited) co_return waited.error();
  }
}

}  // namespace culmen::storage
