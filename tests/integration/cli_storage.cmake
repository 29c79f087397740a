# The program with its certificates in PostgreSQL: see postgres.cmake and cli.cmake.
if(TARGET culmen_module_postgres)
  culmen_test(integration_cli_storage SOURCES cli_storage_test.cpp ../support/postgres_server.cpp ../support/culmen_program.cpp
    LINKS culmen_storage_postgres culmen_culmen culmen_core PkgConfig::PQ PROPERTIES FIXTURES_REQUIRED servers
    SKIP_REGULAR_EXPRESSION "no unpacked server to be had" TIMEOUT 300)
  target_compile_definitions(integration_cli_storage PRIVATE CULMEN_SERVERS="${PROJECT_SOURCE_DIR}/build/servers"
    CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>" CULMEN_OTHER_MODULE="$<TARGET_FILE:cli_storage_other_module>")
  # A module of another version.
  add_library(cli_storage_other_module MODULE ../support/other_module.cpp)
  set_target_properties(cli_storage_other_module PROPERTIES PREFIX "")
  target_include_directories(cli_storage_other_module PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_compile_features(cli_storage_other_module PRIVATE cxx_std_20)
  add_dependencies(integration_cli_storage culmen_program culmen_module_postgres cli_storage_other_module)
endif()
