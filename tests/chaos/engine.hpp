// The engines that the chaos test runs on.
#pragma once

#include <memory>
#include <string>

#include "culmen/file_storage.hpp"
#include "culmen/storage.hpp"
#ifdef CULMEN_CHAOS_POSTGRES
#include "culmen/postgres_storage.hpp"
#endif

namespace chaos {

/// `place`: a folder, or a connection string. nullptr: this build does not have the engine.
inline std::shared_ptr<culmen::Storage> open_engine(const std::string& engine, const std::string& place) {
  if (engine == "files") return culmen::file_storage(place);
#ifdef CULMEN_CHAOS_POSTGRES
  if (engine == "postgres") return culmen::postgres_storage(culmen::PostgresOptions(place));
#endif
  return nullptr;
}

inline const std::string lease_name = "scratch/chaos";
inline const std::string counter_key = "scratch/chaos/counter";
inline constexpr std::chrono::seconds lease_ttl{2};

}  // namespace chaos
