# culmen check: each finding, good and bad; culmen demo; subsets of names.
culmen_test(integration_cli_check SOURCES cli_check_test.cpp cli_demo_test.cpp cli_subset_test.cpp ../support/culmen_program.cpp
  LINKS culmen_core)
target_compile_definitions(integration_cli_check PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli_check culmen_program)
