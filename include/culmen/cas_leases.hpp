// Leases for a store that can only compare and set.
#pragma once

#include <memory>

#include "culmen/storage.hpp"

namespace culmen {

/// A storage with leases and fences, made of one that needs to have load(), list(), write() and changed() only:
/// acquire(), renew() and release() of `storage` are never called, and it is given no fences. Its write() must compare
/// and set in one step; `expected` and expires_in are used. Thread-safe as `storage` is.
///
/// A lease is the value leases/<name>. It counts as held until this object has seen no renewal of it for its time to
/// live and a tenth more, by the clock of this machine: clocks of machines are never compared, so the first acquire()
/// after a crash never succeeds at once. Whoever acquires a lease rewrites every value below its name, so that late
/// writes of the owner before, which expect the revision from before, are refused. So a lease should have few keys
/// below its name; those that expire do not any more after that.
///
/// Values that are guarded have a line more in `storage`; values from before are read as they are. All users of the
/// store must use it through this. Throws Error (invalid_argument) if `storage` is nullptr or typed.
std::shared_ptr<Storage> cas_leases(std::shared_ptr<Storage> storage);

}  // namespace culmen
