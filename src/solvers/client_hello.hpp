// What the ClientHello asks for, read from the data of its extensions. (No I/O, no TLS library.)
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace culmen::solvers {

/// Whether an application_layer_protocol_negotiation extension (RFC 7301 §3.1) lists `protocol`. One that is cut short
/// lists what stands before the cut.
bool offers_protocol(std::string_view alpn_extension, std::string_view protocol);

/// The one host name of a server_name extension (RFC 6066 §3), in lower case and without a final dot; none when the
/// extension is malformed or names something else first.
std::optional<std::string> host_name_of(std::string_view server_name_extension);

}  // namespace culmen::solvers
