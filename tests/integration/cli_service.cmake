# culmen run, and the units that start it.
culmen_test(integration_cli_service SOURCES cli_run_test.cpp cli_log_test.cpp cli_install_test.cpp ../support/culmen_program.cpp
  ${PROJECT_SOURCE_DIR}/cli/repeats.cpp)
target_compile_definitions(integration_cli_service PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli_service culmen_program)
