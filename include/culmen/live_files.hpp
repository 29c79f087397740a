// The files of certificates that are kept in a database, for this host's servers.
#pragma once

#include <string>

#include "culmen/blocking/storage.hpp"
#include "culmen/manager_options.hpp"

namespace culmen::cli {

/// Makes `live` of the certificate in `files`, a file_storage(), lead to this one, in one step; the generation before
/// stays beside it, for servers that are reading. New files take modes and groups of those before. Does nothing if it
/// is this one already; what is damaged is replaced. Numbers of generations are those of this host. Throws Error.
void write_live_files(const blocking::Storage& files, const InstalledCertificate& certificate);

}  // namespace culmen::cli
