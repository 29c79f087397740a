// CAA records of an onion service, sent with finalize (RFC 9799 §6.4), for CAs that do not fetch the service's
// descriptor.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "culmen/bytes.hpp"

namespace culmen {

/// The signed CAA records of one onion service; see sign_onion_caa(). A plain value.
struct OnionCaa {
  OnionCaa() = default;
  std::string address;             ///< The 56 characters and ".onion", without labels before it.
  std::optional<std::string> caa;  ///< Such as `caa 128 issue "ca.example"`, separated by LF; nullopt: none.
  std::chrono::system_clock::time_point expiry;  ///< At most 8 hours ahead.
  Bytes signature;
};

}  // namespace culmen
