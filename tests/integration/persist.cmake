# The blocking face with persistence, against the test CA; and its writers, killed while they write.
culmen_test(integration_persist SOURCES persist_test.cpp persist_crash_test.cpp
  LINKS culmen_testca culmen_culmen culmen_core LABELS threads)
add_executable(persist_writer persist_writer.cpp)
target_link_libraries(persist_writer PRIVATE culmen_settings culmen_culmen culmen_core)
target_include_directories(persist_writer PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(integration_persist PRIVATE CULMEN_PERSIST_WRITER="$<TARGET_FILE:persist_writer>")
add_dependencies(integration_persist persist_writer)
