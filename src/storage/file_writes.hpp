// What a write changes of the files of a file storage. Errors are thrown.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "culmen/storage.hpp"
#include "storage/file_store.hpp"

namespace culmen::storage {

/// The new revisions, one for each write, empty for a removal; nullopt while another has the lock of the store.
std::optional<std::vector<Revision>> write_store(FileStore& store, const std::vector<Write>& writes,
                                                 std::chrono::system_clock::time_point time);

}  // namespace culmen::storage
