#include "solvers/alpn_names.hpp"

#include <optional>

#include "base/name.hpp"
#include "culmen/error.hpp"

namespace culmen::solvers {

std::string alpn_server_name(const Identifier& identifier) {
  constexpr std::string_view doing = "presenting tls-alpn-01";
  if (identifier.is_wildcard()) {
    throw Error(Errc::invalid_argument, doing,
                "\"" + printable(identifier.value) + "\" is a wildcard, which tls-alpn-01 cannot prove; use dns-01");
  }
  if (identifier.type == "dns") return Identifier::dns(identifier.value).value;
  const std::optional<std::string> reverse =
      identifier.type == "ip" ? base::reverse_arpa_name(identifier.value) : std::nullopt;
  if (reverse) return *reverse;
  throw Error(Errc::invalid_argument, doing,
              "\"" + printable(identifier.value) + "\" of the type \"" + printable(identifier.type) +
                  "\" is neither a DNS name (\"dns\") nor an IP address (\"ip\")");
}

}  // namespace culmen::solvers
