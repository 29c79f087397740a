# Storage in files: its writers, killed while they write; and the program of the release before, on the same folder.
culmen_test(integration_file_storage SOURCES file_storage_crash_test.cpp LINKS culmen_testca culmen_conformance culmen_core
  PROPERTIES TIMEOUT 300)
add_executable(storage_writer storage_writer.cpp)
target_link_libraries(storage_writer PRIVATE culmen_settings culmen_testca culmen_conformance culmen_core ${CMAKE_DL_LIBS})
target_include_directories(storage_writer PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(integration_file_storage PRIVATE CULMEN_STORAGE_WRITER="$<TARGET_FILE:storage_writer>")
add_dependencies(integration_file_storage storage_writer)
culmen_test(integration_file_storage_program SOURCES file_storage_program_test.cpp ../support/culmen_program.cpp
  LINKS culmen_testca culmen_conformance culmen_core)
target_compile_definitions(integration_file_storage_program PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_file_storage_program culmen_program)
