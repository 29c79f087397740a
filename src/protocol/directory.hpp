// The directory (RFC 8555 §7.1.1).
#pragma once

#include "culmen/directory.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"

namespace culmen::protocol {

/// Unknown members and nulls are ignored; a missing endpoint is an error that names it.
Result<Directory> parse_directory(const HttpResponse& response);

}  // namespace culmen::protocol
