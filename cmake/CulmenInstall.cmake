# What `make install` puts where, the CMake package and the pkg-config file.
option(CULMEN_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
if(NOT CULMEN_INSTALL)
  return()
endif()
if(CULMEN_OPENSSL STREQUAL "bundled")
  return()  # an OpenSSL in a build tree is for tests, not for an installed program
endif()
include(CMakePackageConfigHelpers)

set(libraries culmen_core culmen_culmen)
if(TARGET culmen_testca)
  list(APPEND libraries culmen_testca)
endif()
if(TARGET culmen_storage_postgres)
  list(APPEND libraries culmen_storage_postgres)
endif()
if(TARGET culmen_conformance)
  list(APPEND libraries culmen_conformance)
endif()
# No promise of a stable ABI before 1.0: the minor version is part of the name.
set_target_properties(${libraries} PROPERTIES VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
if(BUILD_SHARED_LIBS)  # elsewhere a search path only costs the loader a look for each library
  set_target_properties(${libraries} PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()
# Apart, so that find_package(culmen) does not ask for libpq where nobody wants it.
if(TARGET culmen_storage_postgres)
  list(REMOVE_ITEM libraries culmen_storage_postgres)
  install(TARGETS culmen_storage_postgres EXPORT culmen-storage-postgres-targets)
endif()
install(TARGETS ${libraries} EXPORT culmen-targets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/culmen DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET culmen_program)
  if(BUILD_SHARED_LIBS)
    set_target_properties(culmen_program PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  endif()
  install(TARGETS culmen_program)
endif()
# Apart as a package, too: whoever uses files needs no libpq.
if(TARGET culmen_module_postgres)
  install(TARGETS culmen_module_postgres LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/culmen COMPONENT storage-postgres)
endif()

# ---- find_package(culmen) --------------------------------------------------------------------------------------------
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/culmen)
install(EXPORT culmen-targets NAMESPACE culmen:: DESTINATION ${package_dir})
if(TARGET culmen_storage_postgres)
  install(EXPORT culmen-storage-postgres-targets NAMESPACE culmen:: DESTINATION ${package_dir})
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/culmen-config.cmake.in ${PROJECT_BINARY_DIR}/culmen-config.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/culmen-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/culmen-config.cmake ${PROJECT_BINARY_DIR}/culmen-config-version.cmake DESTINATION ${package_dir})

# ---- pkg-config ------------------------------------------------------------------------------------------------------
# A static libculmen needs its dependencies on the link line: then plain `pkg-config --libs culmen` names them.
set(pc_requires "libcurl libssl libcrypto libidn2 libsodium")
set(pc_libs "-lboost_url -lboost_json -pthread")
if(BUILD_SHARED_LIBS)
  set(pc_postgres_requires "Requires: culmen = ${PROJECT_VERSION}\nRequires.private: libpq >= 14")
  set(pc_dependencies "Requires.private: ${pc_requires}\nLibs.private: ${pc_libs}\nLibs: -L\${libdir} -lculmen -lculmen_core")
else()
  set(pc_postgres_requires "Requires: culmen = ${PROJECT_VERSION}, libpq >= 14")
  set(pc_dependencies "Requires: ${pc_requires}\nLibs: -L\${libdir} -lculmen -lculmen_core ${pc_libs}")
endif()
file(RELATIVE_PATH pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_up "${pc_up}")  # the file finds its prefix from where it lies
set(pc_files culmen)
if(TARGET culmen_storage_postgres)
  list(APPEND pc_files culmen-storage-postgres)
endif()
foreach(file IN LISTS pc_files)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${file}.pc.in ${PROJECT_BINARY_DIR}/${file}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${file}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
