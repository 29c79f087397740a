# culmen_room(<room> [LINKS …]): an object library from src/<room>/*.cpp. In names of targets, '_' stands for '/' and '-'.
# culmen_library(<name> ROOMS … [LINKS …]): a library from rooms.

find_program(CCACHE ccache)
if(CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Warnings: for all code of this project, also for what is built as a user builds it (the program, the examples).
add_library(culmen_warnings INTERFACE)
# GCC 12 that optimises sees an overlap inside std::string that is none (GCC bug 105651).
set(culmen_gcc12_optimising $<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>,$<NOT:$<CONFIG:Debug>>>)
# GCC optimising a coroutine whose promise has an operator new of its own, as Asio's has, calls new and delete mismatched
# when it has put only one of them inline (GCC bug 109224).
# GCC takes the .cpp files that a unity build includes for headers, and warns of their anonymous namespaces.
set(culmen_gcc_unity $<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${CMAKE_UNITY_BUILD}>>)
target_compile_options(culmen_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>
  $<${culmen_gcc_unity}:-Wno-subobject-linkage>
  $<$<CXX_COMPILER_ID:Clang>:-Werror=unused-result>
  $<${culmen_gcc12_optimising}:-Wno-restrict>
  $<$<BOOL:${CULMEN_WARNINGS_AS_ERRORS}>:-Werror>)

add_library(culmen_settings INTERFACE)
target_link_libraries(culmen_settings INTERFACE culmen_warnings)
target_compile_features(culmen_settings INTERFACE cxx_std_20)
target_compile_definitions(culmen_settings INTERFACE
  BOOST_ASIO_NO_DEPRECATED
  OPENSSL_NO_DEPRECATED OPENSSL_API_COMPAT=30000)
set_target_properties(culmen_settings PROPERTIES INTERFACE_POSITION_INDEPENDENT_CODE ON)
target_include_directories(culmen_settings INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)

function(culmen_room room)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/*.cpp)
  string(REPLACE "/" "_" target culmen_room_${room})
  add_library(${target} OBJECT ${sources})
  target_link_libraries(${target} PRIVATE culmen_settings)
  if(ARG_LINKS)
    target_link_libraries(${target} ${ARG_LINKS})
  endif()
endfunction()

function(culmen_library name)
  cmake_parse_arguments(ARG "" "" "ROOMS;LINKS" ${ARGN})
  string(REPLACE "-" "_" target culmen_${name})
  add_library(${target})
  foreach(room IN LISTS ARG_ROOMS)
    string(REPLACE "/" "_" room ${room})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:culmen_room_${room}>)
  endforeach()
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME ${name})
  if(name STREQUAL "culmen")
    set_target_properties(${target} PROPERTIES OUTPUT_NAME culmen)
  endif()
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if("PUBLIC" IN_LIST ARG_LINKS OR "PRIVATE" IN_LIST ARG_LINKS)
    target_link_libraries(${target} ${ARG_LINKS})
  else()
    target_link_libraries(${target} PRIVATE ${ARG_LINKS})
  endif()
  add_library(culmen::${name} ALIAS ${target})
endfunction()
