# culmen with servers of the distribution, which tools/get-servers.sh unpacks below the build folder. Where it fails, ctest
# does not run these tests, and counts them as failed; where it says that there is nothing to be had, they are skipped.
add_test(NAME "servers: unpack" COMMAND ${PROJECT_SOURCE_DIR}/tools/get-servers.sh ${PROJECT_SOURCE_DIR}/build/servers)
set_tests_properties("servers: unpack" PROPERTIES FIXTURES_SETUP servers SKIP_RETURN_CODE 3 TIMEOUT 600)

# culmen_server_test(<name> [PROGRAM] SOURCES … [LABELS …]): a test program that runs some of them, and with PROGRAM the
# built culmen.
function(culmen_server_test name)
  cmake_parse_arguments(ARG "PROGRAM" "" "SOURCES;LABELS" ${ARGN})
  culmen_test(${name} SOURCES ${ARG_SOURCES} ../support/unpacked_server.cpp ../support/culmen_program.cpp
    LINKS culmen_testca culmen_culmen culmen_core OpenSSL::SSL LABELS ${ARG_LABELS}
    PROPERTIES FIXTURES_REQUIRED servers SKIP_REGULAR_EXPRESSION "no (unpacked server|network namespace|other user) to be had")
  target_compile_definitions(${name} PRIVATE CULMEN_SERVERS="${PROJECT_SOURCE_DIR}/build/servers"
    CULMEN_PROGRAM="$<$<BOOL:${ARG_PROGRAM}>:$<TARGET_FILE:culmen_program>>")
  if(ARG_PROGRAM)
    add_dependencies(${name} culmen_program)
  endif()
endfunction()

culmen_test(integration_child_process SOURCES child_process_test.cpp ../support/culmen_program.cpp)
target_compile_definitions(integration_child_process PRIVATE CULMEN_PROGRAM="")

culmen_server_test(integration_nginx SOURCES nginx_test.cpp ../support/nginx.cpp LABELS threads)
# In a network namespace of its own: validation goes to port 80.
culmen_server_test(integration_caddy SOURCES caddy_test.cpp ../support/caddy.cpp)

# The program as operators have it: with servers that use its files, and under a service manager.
culmen_server_test(integration_served PROGRAM SOURCES served_test.cpp runit_test.cpp)
if(TARGET culmen_storage_postgres)
  target_sources(integration_served PRIVATE served_postgres_test.cpp ../support/postgres_server.cpp)
  target_link_libraries(integration_served PRIVATE PkgConfig::PQ)
endif()
