# The program's challenges through the DNS, onion services and CSRs.
culmen_test(integration_cli_dns SOURCES cli_dns_test.cpp ../support/culmen_program.cpp LINKS culmen_culmen culmen_core)
target_compile_definitions(integration_cli_dns PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli_dns culmen_program)
