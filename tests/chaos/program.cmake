# The culmen program that is killed, runs twenty times at once, and has a failing storage (`make chaos-program`); ctest
# runs a small part.
set(program_chaos_links culmen_testca culmen_culmen culmen_core)
set(program_chaos_sources program_chaos.cpp inspector.cpp victim.cpp ../support/culmen_program.cpp)
culmen_test(program_chaos SOURCES program_chaos_test.cpp ${program_chaos_sources} LINKS ${program_chaos_links})
add_executable(culmen_program_chaos program_chaos_main.cpp ${program_chaos_sources})
foreach(target program_chaos culmen_program_chaos)
  target_link_libraries(${target} PRIVATE culmen_settings ${program_chaos_links} Boost::json Threads::Threads)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE CULMEN_PROGRAM="$<TARGET_FILE:culmen_program>")
  add_dependencies(${target} culmen_program)
endforeach()
