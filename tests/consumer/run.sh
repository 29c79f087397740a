#!/usr/bin/env bash
# run.sh find_package|add_subdirectory|pkg_config BUILD WORK COMPILER: builds a small program the way a user of culmen would.
# BUILD is a finished build of culmen, which is installed into WORK for this.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
way="$1" build="$2" work="$3/$1" compiler="$4"
prefix="$work/prefix"

main() {
  rm -rf "$prefix"
  mkdir -p "$work"
  "$way"
}

find_package() {
  install_culmen
  rm -rf "$work/build"
  configure "$here/find_package" -DCMAKE_PREFIX_PATH="$prefix"
  cmake --build "$work/build" --parallel 2
  "$work/build/consumer"
  "$work/build/with_test_ca"
  "$work/build/with_manager"
  "$work/build/storage_engine"
  "$work/build/with_conformance"
  [ ! -x "$work/build/with_postgres" ] || "$work/build/with_postgres"
}

# Builds the library once more; the build folder is kept, so that only the first time is slow.
add_subdirectory() {
  # With the flags of the dev preset a compiler cache has it all.
  configure "$here/add_subdirectory" -DCMAKE_CXX_FLAGS_DEBUG="-O0 -g1" -DCULMEN_WARNINGS_AS_ERRORS=ON \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)"
  CCACHE_NOHASHDIR=1 cmake --build "$work/build" --parallel 2 --target consumer
  "$work/build/consumer"
}

pkg_config() {
  install_culmen
  export PKG_CONFIG_PATH="$prefix/lib/pkgconfig:$prefix/lib64/pkgconfig"
  # shellcheck disable=SC2046
  "$compiler" -std=c++20 "$here/main.cpp" -o "$work/consumer" $(pkg-config --cflags --libs culmen)
  "$work/consumer"
  if compgen -G "$prefix/lib*/libculmen_storage_postgres.*" > /dev/null; then
    # shellcheck disable=SC2046
    "$compiler" -std=c++20 "$here/with_postgres.cpp" -o "$work/with_postgres" \
      $(pkg-config --cflags --libs culmen-storage-postgres)
    "$work/with_postgres"
  fi
}

install_culmen() { cmake --install "$build" --prefix "$prefix" > "$work/install.log"; }

configure() {
  cmake -G Ninja -S "$1" -B "$work/build" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER="$compiler" "${@:2}"
}

main
