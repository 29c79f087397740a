# culmen check: each finding, good and bad.
culmen_test(integration_cli_check SOURCES cli_check_test.cpp ../support/culmen_program.cpp)
target_compile_definitions(integration_cli_check PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli_check culmen_program)
