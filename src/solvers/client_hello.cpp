#include "solvers/client_hello.hpp"

#include <cstddef>

#include "base/text.hpp"

namespace culmen::solvers {

namespace {

/// A field of a ClientHello, read piece by piece.
class Reader {
 public:
  explicit Reader(std::string_view left) : left_(left) {}
  bool empty() const noexcept { return left_.empty(); }
  /// A length of so many octets, and what it is the length of.
  std::optional<std::string_view> vector(std::size_t length_octets) {
    std::size_t length = 0;
    if (left_.size() < length_octets) return {};
    for (char octet : left_.substr(0, length_octets)) length = length << 8 | static_cast<unsigned char>(octet);
    left_.remove_prefix(length_octets);
    if (left_.size() < length) return {};
    const std::string_view found = left_.substr(0, length);
    left_.remove_prefix(length);
    return found;
  }
  std::optional<unsigned> octet() {
    if (left_.empty()) return {};
    const unsigned found = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return found;
  }

 private:
  std::string_view left_;
};

}  // namespace

bool offers_protocol(std::string_view alpn_extension, std::string_view protocol) {
  const auto list = Reader(alpn_extension).vector(2);
  if (!list) return false;
  for (Reader names(*list); !names.empty();) {
    const auto name = names.vector(1);
    if (!name) return false;
    if (*name == protocol) return true;
  }
  return false;
}

std::optional<std::string> host_name_of(std::string_view server_name_extension) {
  const auto list = Reader(server_name_extension).vector(2);
  if (!list) return {};
  Reader entries(*list);
  if (entries.octet() != 0u) return {};  // host_name
  const auto name = entries.vector(2);
  if (!name) return {};
  return base::to_lower(name->ends_with('.') ? name->substr(0, name->size() - 1) : *name);
}

}  // namespace culmen::solvers
