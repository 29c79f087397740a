// PEM text (RFC 7468), parsed leniently: text around the blocks is ignored.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"

namespace culmen::crypto {

struct PemBlock {
  PemBlock() = default;
  std::string label;    ///< "CERTIFICATE"
  std::string headers;  ///< RFC 1421 headers ("Proc-Type: …"), with line ends; mostly empty.
  Bytes der;
  std::string damage;  ///< Why `der` could not be read; empty when it could.
};

/// Every block in order, the damaged ones too. Linear in the length of the text.
std::vector<PemBlock> pem_blocks(std::string_view text);

}  // namespace culmen::crypto
