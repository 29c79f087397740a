# Packages for Debian and its relatives, one for each component: `make package`. See docs/packaging.md.
if(NOT PROJECT_IS_TOP_LEVEL OR BUILD_SHARED_LIBS OR NOT TARGET culmen_program)
  return()  # distributions build shared libraries by rules of their own
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME culmen)
set(CPACK_PACKAGE_VENDOR "The culmen authors")
set(CULMEN_PACKAGE_CONTACT "The culmen authors <maintainers@culmen.example>" CACHE STRING "Who is named as maintainer of the packages")
set(CPACK_PACKAGE_CONTACT ${CULMEN_PACKAGE_CONTACT})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_GROUPING IGNORE)  # a package for each component
set(CPACK_COMPONENTS_ALL "")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

# What Debian's policy wants in each package, in the form it wants it.
string(TIMESTAMP debian_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(debian_files ${PROJECT_BINARY_DIR}/debian)
file(CONFIGURE OUTPUT ${debian_files}/changelog @ONLY CONTENT [[
culmen (@PROJECT_VERSION@) unstable; urgency=medium

  * Version @PROJECT_VERSION@; CHANGELOG.md in culmen-doc says what is new.

 -- @CPACK_PACKAGE_CONTACT@  @debian_date@
]])
file(CONFIGURE OUTPUT ${debian_files}/copyright @ONLY CONTENT [[
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: culmen

Files: *
Copyright: 2026 The culmen authors
License: Apache-2.0

License: Apache-2.0
 On Debian systems, the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
]])
execute_process(COMMAND gzip -9nf ${debian_files}/changelog)

# culmen_package(<component> NAME … SECTION … SUMMARY … TEXT … [DEPENDS …] [SUGGESTS …] [ALL])
macro(culmen_package component)
  cmake_parse_arguments(P "ALL" "NAME;SECTION;SUMMARY;TEXT;DEPENDS;SUGGESTS" "" ${ARGN})
  string(TOUPPER ${component} upper)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${P_NAME})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${P_SECTION})
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${P_DEPENDS}")
  set(CPACK_DEBIAN_${upper}_PACKAGE_SUGGESTS "${P_SUGGESTS}")
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${P_SUMMARY}\n${P_TEXT}")
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${P_SUMMARY}\n${P_TEXT}")
  if(P_ALL)
    set(CPACK_DEBIAN_${upper}_PACKAGE_ARCHITECTURE all)
  endif()
  # Not for `make install`, which installs all components.
  install(FILES ${debian_files}/copyright ${debian_files}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${P_NAME}
    COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()

culmen_package(program NAME culmen SECTION net DEPENDS "ca-certificates"
  SUMMARY "certificates from Let's Encrypt and other ACME CAs"
  TEXT "culmen speaks ACME (RFC 8555): it gets certificates, renews them when they\nare due, runs programs when they have changed, and revokes them. It can run\na CA for tests.")
culmen_package(dev NAME libculmen-dev SECTION libdevel
  DEPENDS "libboost1.81-dev | libboost-dev (>= 1.81), libboost-json1.81-dev | libboost-json-dev (>= 1.81), libboost-url1.81-dev | libboost-url-dev (>= 1.81), libcurl4-openssl-dev, libidn2-dev, libsodium-dev, libssl-dev"
  SUGGESTS "libculmen-testca-dev, libpq-dev"
  SUMMARY "ACME client library for C++20"
  TEXT "culmen speaks ACME (RFC 8555), for programs with an event loop or without one.\nThis package has the headers and the static libraries.")
culmen_package(testca NAME libculmen-testca-dev SECTION libdevel
  DEPENDS "libculmen-dev (= ${PROJECT_VERSION}), libldns-dev"
  SUMMARY "ACME CA for tests, as a C++20 library"
  TEXT "culmen speaks ACME (RFC 8555). This package has the CA that runs inside a\ntest program, virtual time, and the tests for storage engines.")
culmen_package(doc NAME culmen-doc SECTION doc ALL
  SUMMARY "ACME client library for C++20 (documents)"
  TEXT "culmen speaks ACME (RFC 8555). This package has its documents and the\nexamples of how its library is used.")
# The module alone needs libpq.
get_cmake_property(components COMPONENTS)
if("storage-postgres" IN_LIST components)
  culmen_package(storage-postgres NAME culmen-storage-postgres SECTION net DEPENDS "culmen (= ${PROJECT_VERSION})"
    SUMMARY "storage of certificates in PostgreSQL for culmen"
    TEXT "culmen speaks ACME (RFC 8555). With this package it can keep accounts and\ncertificates in a PostgreSQL database that several machines share.")
endif()
include(CPack)
