# What `make install` puts where, the CMake package and the pkg-config file. Each file belongs to a component, which is a
# package of its own (CulmenPackages.cmake): program, library (shared libraries only), dev, testca, doc, storage-postgres.
if(NOT CULMEN_INSTALL)
  return()
endif()
if(CULMEN_OPENSSL STREQUAL "bundled")
  return()  # an OpenSSL in a build tree is for tests, not for an installed program
endif()
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/culmen)

# culmen_install_libraries(<export set> <component> <target>…)
function(culmen_install_libraries export_set component)
  # No promise of a stable ABI before 1.0: the minor version is part of the name.
  set_target_properties(${ARGN} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(BUILD_SHARED_LIBS)  # elsewhere a search path only costs the loader a look for each library
    set_target_properties(${ARGN} PROPERTIES INSTALL_RPATH "$ORIGIN")
  endif()
  install(TARGETS ${ARGN} EXPORT ${export_set}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT ${component}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component})
  install(EXPORT ${export_set} NAMESPACE culmen:: DESTINATION ${package_dir} COMPONENT ${component})
endfunction()

# ---- The libraries: for all, for tests, and with a database ----------------------------------------------------------
culmen_install_libraries(culmen-targets dev culmen_core culmen_culmen)
set(for_tests "")
foreach(target culmen_testca culmen_conformance)
  if(TARGET ${target})
    list(APPEND for_tests ${target})
  endif()
endforeach()
if(for_tests)
  culmen_install_libraries(culmen-testca-targets testca ${for_tests})
endif()
if(TARGET culmen_storage_postgres)
  culmen_install_libraries(culmen-storage-postgres-targets dev culmen_storage_postgres)
endif()
set(headers_for_tests test_ca.hpp timed_response.hpp virtual_driver.hpp storage_conformance.hpp rehearsal.hpp)
list(TRANSFORM headers_for_tests PREPEND "/" OUTPUT_VARIABLE patterns)
list(JOIN patterns "|" patterns)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/culmen DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev
  FILES_MATCHING PATTERN "*.hpp" REGEX "(${patterns})$" EXCLUDE)
if(for_tests)
  foreach(header IN LISTS headers_for_tests)
    install(FILES ${PROJECT_SOURCE_DIR}/include/culmen/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/culmen COMPONENT testca)
  endforeach()
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/culmen-config.cmake.in ${PROJECT_BINARY_DIR}/culmen-config.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/culmen-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/culmen-config.cmake ${PROJECT_BINARY_DIR}/culmen-config-version.cmake
  DESTINATION ${package_dir} COMPONENT dev)

# ---- The program, its manual pages and completion --------------------------------------------------------------------
if(TARGET culmen_program)
  if(BUILD_SHARED_LIBS)
    set_target_properties(culmen_program PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  endif()
  install(TARGETS culmen_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
  add_custom_target(culmen_installed_pages ALL DEPENDS culmen_pages)
  set(pages ${PROJECT_BINARY_DIR}/pages)
  install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program FILES_MATCHING PATTERN "*.1.gz")
  install(FILES ${pages}/culmen.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME culmen COMPONENT program)
  set(zsh_dir site-functions)
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")  # Debian leaves that folder to the local administrator
    set(zsh_dir vendor-completions)
  endif()
  install(FILES ${pages}/_culmen DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_dir} COMPONENT program)
  install(FILES ${pages}/culmen.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT program)
endif()

# Apart as a package, too: whoever uses files needs no libpq.
if(TARGET culmen_module_postgres)
  install(TARGETS culmen_module_postgres LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/culmen COMPONENT storage-postgres)
endif()

# ---- Documents -------------------------------------------------------------------------------------------------------
set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc/culmen)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/SECURITY.md
  ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md DESTINATION ${doc_dir} COMPONENT doc)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${doc_dir} COMPONENT license)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${doc_dir} COMPONENT doc
  FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "man" EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples DESTINATION ${doc_dir} COMPONENT doc FILES_MATCHING PATTERN "*.?pp")

# ---- pkg-config ------------------------------------------------------------------------------------------------------
# A static libculmen needs its dependencies on the link line: then plain `pkg-config --libs culmen` names them.
set(pc_requires "libcurl libssl libcrypto libidn2 libsodium")
set(pc_libs "-lboost_url -lboost_json -lresolv -pthread")
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
  install(FILES ${PROJECT_BINARY_DIR}/${file}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endforeach()

include(CulmenPackages)
