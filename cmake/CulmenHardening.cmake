# What makes faults of a program harder to use. On in the release preset; tools/check_hardening.sh looks at the result.
option(CULMEN_HARDENED "RELRO, BIND_NOW, FORTIFY, stack protector, stack clash protection, CET, checked operator[]" OFF)
if(NOT CULMEN_HARDENED)
  return()
endif()

# Distributions predefine a FORTIFY level of their own; GCC 12 and clang 14 both know 3.
add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong)
add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
include(CheckCXXCompilerFlag)
set(CMAKE_REQUIRED_FLAGS -Werror)
foreach(flag -fstack-clash-protection -fcf-protection -mbranch-protection=standard)  # the last one: 64-bit ARM
  string(MAKE_C_IDENTIFIER "culmen_has${flag}" known)
  check_cxx_compiler_flag(${flag} ${known})
  if(${known})
    add_compile_options(${flag})
  endif()
endforeach()
unset(CMAKE_REQUIRED_FLAGS)
# The folders of this machine are in no binary, so that the same source gives the same bytes everywhere.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
