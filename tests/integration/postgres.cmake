# Storage in PostgreSQL, against a server that tools/get-servers.sh unpacks; skipped where none can be had.
if(TARGET culmen_storage_postgres)
  culmen_test(integration_postgres SOURCES postgres_test.cpp postgres_outage_test.cpp ../support/postgres_server.cpp
    ../support/culmen_program.cpp
    LINKS culmen_storage_postgres culmen_conformance culmen_culmen culmen_core PkgConfig::PQ LABELS threads
    PROPERTIES FIXTURES_REQUIRED servers SKIP_REGULAR_EXPRESSION "no unpacked server to be had" TIMEOUT 600)
  target_compile_definitions(integration_postgres PRIVATE CULMEN_SERVERS="${PROJECT_SOURCE_DIR}/build/servers" CULMEN_PROGRAM="")
endif()
