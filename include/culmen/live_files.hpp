// The files of certificates that are kept in a database, for this host's servers.
#pragma once

#include <memory>

#include "culmen/flow.hpp"
#include "culmen/manager_options.hpp"
#include "culmen/result.hpp"
#include "culmen/storage.hpp"

namespace culmen {

/// Makes `live` of the certificate in `files`, a file_storage(), lead to this one, in one step; the generation before
/// stays beside it, for servers that are reading. New files take modes and groups of those before. Does nothing if it
/// is this one already; what is damaged is replaced. Numbers of generations are those of this host. Errors: those of
/// storage; conflict if other processes change it all the time; crypto_failed if the chain cannot be read.
Flow<Result<void>> write_live_files(std::shared_ptr<Storage> files, InstalledCertificate certificate);

}  // namespace culmen
