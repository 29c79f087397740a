# Manual pages and completion: what is written from the program's own options, and what bash makes of it.
culmen_test(integration_pages SOURCES pages_test.cpp ../support/culmen_program.cpp $<TARGET_OBJECTS:culmen_pages_objects>
  $<TARGET_OBJECTS:culmen_program_objects> LINKS culmen_testca culmen_culmen culmen_core)
target_compile_definitions(integration_pages PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
add_dependencies(integration_pages culmen_program)
