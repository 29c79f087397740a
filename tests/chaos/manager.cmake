# A manager that is killed (`make chaos-manager`), and one that runs for long (`make soak`); ctest runs a small part of
# both.
set(manager_chaos_links culmen_testca culmen_culmen culmen_core)
add_executable(manager_worker manager_worker.cpp)
add_executable(soak_cas soak_cas.cpp)
foreach(target manager_worker soak_cas)
  target_link_libraries(${target} PRIVATE culmen_settings ${manager_chaos_links} Threads::Threads)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
endforeach()

set(manager_kills_sources manager_kills.cpp inspector.cpp victim.cpp ../support/culmen_program.cpp)
set(manager_soak_sources manager_soak.cpp)
culmen_test(manager_chaos SOURCES manager_chaos_test.cpp ${manager_kills_sources} ${manager_soak_sources}
  LINKS ${manager_chaos_links} LABELS threads)
add_executable(culmen_manager_kills manager_kills_main.cpp ${manager_kills_sources})
add_executable(culmen_manager_soak manager_soak_main.cpp ${manager_soak_sources} victim.cpp)
foreach(target manager_chaos culmen_manager_kills culmen_manager_soak)
  target_link_libraries(${target} PRIVATE culmen_settings ${manager_chaos_links} Boost::json Threads::Threads)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE CULMEN_PROGRAM="" CULMEN_MANAGER_WORKER="$<TARGET_FILE:manager_worker>"
    CULMEN_SOAK_CAS="$<TARGET_FILE:soak_cas>")
  add_dependencies(${target} manager_worker soak_cas)
endforeach()
