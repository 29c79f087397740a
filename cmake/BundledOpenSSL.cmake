# CULMEN_OPENSSL=bundled: an OpenSSL with ML-DSA. The system's own when it is new enough, else one that is built once
# from the distribution's source package (tools/get-openssl.sh). Sets what find_package(OpenSSL) looks at.
set(culmen_mldsa_openssl 3.5)

execute_process(COMMAND pkg-config --modversion openssl OUTPUT_VARIABLE system_openssl
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)

if(OPENSSL_ROOT_DIR AND NOT DEFINED CACHE{CULMEN_BUNDLED_OPENSSL})
  message(STATUS "OpenSSL: OPENSSL_ROOT_DIR is given, nothing is bundled")
elseif(system_openssl VERSION_GREATER_EQUAL culmen_mldsa_openssl)
  message(STATUS "OpenSSL: the system has ${system_openssl}, nothing is bundled")
else()
  message(STATUS "OpenSSL: the system has ${system_openssl}; ML-DSA needs ${culmen_mldsa_openssl}, building that once")
  execute_process(COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/get-openssl.sh
    OUTPUT_VARIABLE culmen_openssl_root OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "OpenSSL ${culmen_mldsa_openssl} cannot be bundled on this machine: see above for what to do")
  endif()
  set(CULMEN_BUNDLED_OPENSSL "${culmen_openssl_root}" CACHE INTERNAL "The OpenSSL that was built for ML-DSA")
  set(OPENSSL_ROOT_DIR "${culmen_openssl_root}")

  # What an earlier run of this build folder found elsewhere must not win.
  foreach(variable IN ITEMS OPENSSL_INCLUDE_DIR OPENSSL_CRYPTO_LIBRARY OPENSSL_SSL_LIBRARY)
    if(NOT "$CACHE{${variable}}" MATCHES "^${culmen_openssl_root}/")
      unset(${variable} CACHE)
    endif()
  endforeach()

  # libcurl wants libssl too, and has to get this one, or its libssl meets another libcrypto. A program's DT_RPATH holds
  # for the libraries of its libraries as well; DT_RUNPATH, which linkers write by default, does not.
  add_link_options(LINKER:--disable-new-dtags)
  list(APPEND CMAKE_BUILD_RPATH "${culmen_openssl_root}/lib")
  list(APPEND CMAKE_INSTALL_RPATH "${culmen_openssl_root}/lib")
endif()
