# culmen at an HTTP/2 server of the tests' own, on libnghttp2.
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
culmen_test(integration_h2 SOURCES h2_test.cpp ../support/h2_server.cpp ../support/culmen_program.cpp
  LINKS culmen_testca culmen_culmen culmen_core PkgConfig::NGHTTP2 OpenSSL::SSL LABELS threads)
target_compile_definitions(integration_h2 PRIVATE CULMEN_PROGRAM="")
