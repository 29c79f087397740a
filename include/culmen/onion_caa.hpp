// CAA records of an onion service, sent along with finalize (RFC 9799 §6.4): for services whose descriptor CAs need not
// read.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "culmen/bytes.hpp"

namespace culmen {

/// What one onion service says about who may issue for it, signed by its key: see sign_onion_caa().
struct OnionCaa {
  OnionCaa() = default;
  std::string address;             ///< The 56 characters and ".onion", without labels before it.
  std::optional<std::string> caa;  ///< As `caa 128 issue "ca.example"`, lines parted by LF; nullopt: it has none.
  std::chrono::system_clock::time_point expiry;  ///< At most 8 hours ahead.
  Bytes signature;
};

}  // namespace culmen
