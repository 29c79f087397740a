# The built program, run as its users run it, against test CAs that are processes of their own.
culmen_test(integration_cli SOURCES cli_issue_test.cpp cli_account_test.cpp cli_renew_test.cpp cli_ca_test.cpp cli_import_test.cpp cli_backup_test.cpp
  cli_manage_test.cpp cli_deploy_test.cpp cli_secrets_test.cpp cli_port_test.cpp cli_ca_faults_test.cpp
  ${PROJECT_SOURCE_DIR}/cli/secrets.cpp ${PROJECT_SOURCE_DIR}/cli/json_object.cpp
  ../support/culmen_program.cpp LINKS OpenSSL::SSL)
target_compile_definitions(integration_cli PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_cli culmen_program)
