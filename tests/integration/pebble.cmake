# culmen against Pebble. Each test runs twice: with the newest Pebble and with the distribution's own; tools/run-tests.sh says
# where they are. A Pebble that is not to be had makes its tests count as skipped.
if(TARGET culmen_program)
  add_executable(integration_pebble pebble_test.cpp pebble_dns_test.cpp pebble_persist_test.cpp pebble_alpn_test.cpp ../support/pebble.cpp ../support/culmen_program.cpp)
  target_link_libraries(integration_pebble PRIVATE culmen_settings culmen_culmen culmen_core
    Boost::json Boost::url OpenSSL::Crypto Threads::Threads)
  target_include_directories(integration_pebble PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
  target_compile_definitions(integration_pebble PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
  add_dependencies(integration_pebble culmen_program)
  if(TARGET example_06_seed_persistence)
    target_compile_definitions(integration_pebble PRIVATE
      CULMEN_SEED_EXAMPLE="$<TARGET_FILE:example_06_seed_persistence>")
    add_dependencies(integration_pebble example_06_seed_persistence)
  endif()
  foreach(which newest distribution)
    string(TOUPPER ${which} variable)
    doctest_discover_tests(integration_pebble TEST_LIST pebble_${which} TEST_PREFIX "pebble (${which}): "
      EXTRA_ARGS --pebble=${variable}
      PROPERTIES TIMEOUT 180 LABELS pebble SKIP_REGULAR_EXPRESSION "no Pebble to be had")
  endforeach()
endif()
