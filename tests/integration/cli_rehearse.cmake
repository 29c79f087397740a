# culmen rehearse, on states that a real program made.
culmen_test(integration_cli_rehearse SOURCES cli_rehearse_test.cpp ../support/culmen_program.cpp LINKS culmen_testca culmen_core)
target_compile_definitions(integration_cli_rehearse PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli_rehearse culmen_program)
