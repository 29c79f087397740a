#!/usr/bin/env bash
# build.sh PRESET [TARGET…]: configures and builds one of the CMake presets; one line when all goes well and nothing is to do.
set -euo pipefail
cd "$(dirname "$0")/.."

# The compiler cache may take what another build folder of this tree compiled.
export CCACHE_NOHASHDIR=1
preset="$1"
shift
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! cmake --preset "$preset" > "$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
cmake --build "build/$preset" --parallel "${CULMEN_JOBS:-$(nproc)}" ${1:+--target "$@"}
