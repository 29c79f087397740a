# Everything culmen uses from outside; docs/dependencies.md says why.
if(POLICY CMP0167)
  cmake_policy(SET CMP0167 NEW)  # Boost's own CMake package
endif()
# For a project that holds culmen as a subdirectory: what culmen links has to be known where the project links culmen.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(CURL 7.87 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET GLOBAL libidn2)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET GLOBAL libsodium)

if(CULMEN_OPENSSL STREQUAL "bundled")
  include(BundledOpenSSL)
elseif(NOT CULMEN_OPENSSL STREQUAL "system")
  message(FATAL_ERROR "CULMEN_OPENSSL is \"${CULMEN_OPENSSL}\"; it can be \"system\" or \"bundled\"")
endif()
find_package(OpenSSL 3.0 REQUIRED)

# Optional: PostgreSQL's client library. Where it is missing, culmen::storage-postgres is not built.
pkg_check_modules(PQ QUIET IMPORTED_TARGET GLOBAL libpq>=14)
set(culmen_build_postgres OFF)
if(PROJECT_IS_TOP_LEVEL AND PQ_FOUND)
  set(culmen_build_postgres ON)
endif()
