// The version of culmen.
#pragma once

#define CULMEN_VERSION_MAJOR 0
#define CULMEN_VERSION_MINOR 1
#define CULMEN_VERSION_PATCH 0
#define CULMEN_VERSION "0.1.0"

namespace culmen {

/// The versions of culmen and its libraries, such as "culmen 0.1.0 (OpenSSL 3.0.19, libcurl 7.88.1, Boost 1.81)". Valid
/// until the program ends. Thread-safe.
const char* version_text();

}  // namespace culmen
