# Writes what a program must do for a module that uses the program's copy of the library: WANTED, a linker script that pulls
# the symbols in which the module's objects leave undefined, and EXPORTS, a list of the same symbols for --dynamic-list.
# The C++ runtime's are among them: a program that is linked with it statically must share its copy, too.
#
# cmake -DNM=… -DOBJECTS=a.o,b.o -DWANTED=… -DEXPORTS=… -P ModuleSymbols.cmake
string(REPLACE "," ";" objects "${OBJECTS}")
execute_process(COMMAND ${NM} --format=posix ${objects} OUTPUT_VARIABLE lines COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" lines "${lines}")
set(undefined "")
set(defined "")
foreach(line IN LISTS lines)
  if(line MATCHES "^(_Z[^ ]+|__cxa_[^ ]+|__gxx_[^ ]+|_Unwind_[^ ]+) ([A-Za-z])")
    if(CMAKE_MATCH_2 STREQUAL "U")
      list(APPEND undefined ${CMAKE_MATCH_1})
    else()
      list(APPEND defined ${CMAKE_MATCH_1})
    endif()
  endif()
endforeach()
list(REMOVE_DUPLICATES undefined)
list(REMOVE_ITEM undefined "" ${defined})
list(SORT undefined)
list(JOIN undefined "\n" wanted)
list(JOIN undefined ";\n" exports)
file(WRITE ${WANTED} "EXTERN(\n${wanted}\n)\n")
file(WRITE ${EXPORTS} "{\n${exports};\n};\n")
