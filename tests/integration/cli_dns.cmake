# The program's challenges through the DNS, onion services and CSRs.
culmen_test(integration_cli_dns SOURCES cli_dns_test.cpp cli_support.cpp LINKS culmen_culmen culmen_core)
target_include_directories(integration_cli_dns PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(integration_cli_dns PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli_dns culmen_program)
