# Faults that the release before had, and hostile CAs, through the built program.
culmen_test(integration_cli_faults SOURCES cli_faults_test.cpp cli_hostile_test.cpp cli_reports_test.cpp ../support/culmen_program.cpp LINKS culmen_testca culmen_core)
target_compile_definitions(integration_cli_faults PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli_faults culmen_program)
