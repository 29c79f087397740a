// The keys of a file storage, in order, found by the names of the files. Errors are thrown.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "culmen/storage.hpp"
#include "storage/file_store.hpp"

namespace culmen::storage {

struct Page {
  std::vector<StoredItem> items;
  std::string last;  // the last key that was looked at
  bool is_end = false;
};

/// Of the first `count` keys with this prefix after `after`, those that have a value.
Page page_of(FileStore& store, const Folder& root, const std::string& prefix, const std::string& after,
             std::size_t count, bool with_values, std::chrono::system_clock::time_point time);

}  // namespace culmen::storage
