// A copy of a whole storage.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "culmen/blocking/storage.hpp"

namespace culmen::cli {

class Output;

/// A plain value.
struct CopyResult {
  CopyResult() = default;
  std::map<std::string, std::size_t> verified;  ///< How many of each kind are the same in both now.
  std::size_t there_before = 0;                 ///< Of these, without being written.
  std::vector<std::string> refused;             ///< Keys that could not be read, and why.
};

/// Copies accounts, certificates with their generations and orders, unused keys, and what is known of rate limits; not
/// leases, nor answers to challenges, which expire. What belongs to one account or certificate is copied in one step,
/// read again and compared. If `to` has something that `from` has not, nothing is changed: Failure (exit_failed) names
/// it. So it can be run again after a failure. Programs that change `from` meanwhile must be stopped. Throws Error.
/// `damaged`: what is left out, and why, by the common part of its keys, as "certificates/a.example".
CopyResult copy_storage(const blocking::Storage& from, const blocking::Storage& to,
                        const std::map<std::string, std::string>& damaged, Output& output);

}  // namespace culmen::cli
