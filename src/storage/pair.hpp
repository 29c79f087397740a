// A certificate and its key as one value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace culmen::storage {

/// Either may be missing: put() stores one at a time.
struct Pair {
  std::optional<std::string> private_key;
  std::optional<std::string> certificate;
};

/// A line with the sizes of both, then the key, then the certificate. Programs that read PEM skip text before a block,
/// so to them it is a PEM file with a key and a chain.
std::string pair_text(const Pair& pair);
/// nullopt if it is not what pair_text() returns.
std::optional<Pair> pair_of(std::string_view text);

}  // namespace culmen::storage
