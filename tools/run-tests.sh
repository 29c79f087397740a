#!/usr/bin/env bash
# run-tests.sh [--preset NAME]: builds and runs the tests. The last line is "N passed, N failed, N skipped".
#
# Without --preset: the whole suite in the dev preset; then, where the system's OpenSSL has no ML-DSA, what concerns keys
# once more with an OpenSSL 3.5 that is built for it once and kept;
# then whether the tests that docs/parity.md names all ran and passed.
# With --preset asan or clang: the whole suite again under that preset. With tsan: what has threads.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs="${CULMEN_JOBS:-$(nproc)}"
reports=()
left_out=()
wrong=()

main() {
  export CULMEN_PEBBLE_NEWEST="${CULMEN_PEBBLE_NEWEST:-$(tools/get-pebble.sh newest || true)}"
  export CULMEN_PEBBLE_DISTRIBUTION="${CULMEN_PEBBLE_DISTRIBUTION:-$(tools/get-pebble.sh distribution || true)}"
  export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"

  case "${1:-}" in
    "")
      run dev
      pkg-config --atleast-version=3.5 openssl || with_newer_openssl
      tools/check_parity.py --reports "${reports[@]}" || wrong+=("docs/parity.md: see above")
      ;;
    --preset)
      case "$2" in
        tsan) run tsan -L threads ;;
        *) run "$2" ;;
      esac
      ;;
    *) stop "usage: run-tests.sh [--preset NAME]" ;;
  esac
  python3 tools/summarize_tests.py "${left_out[@]/#/--skipped=}" "${wrong[@]/#/--failed=}" "${reports[@]}"
}

with_newer_openssl() {
  local status=0
  tools/get-openssl.sh > /dev/null || status=$?
  case "$status" in
    0) run mldsa -L mldsa ;;
    3) left_out+=("the tests of ML-DSA: no OpenSSL 3.5 to be had on this system") ;;
    *) stop "OpenSSL 3.5 could not be built" ;;
  esac
}

# run PRESET [CTEST OPTION…]
run() {
  local preset="$1" report target
  shift
  echo "==== $preset: building"
  case "$preset" in
    mldsa) target=culmen_tests_mldsa ;;
    tsan) target=culmen_tests_threads ;;
    *) target=all ;;
  esac
  tools/build.sh "$preset" "$target" || stop "the $preset build failed"
  report="$PWD/build/$preset/tests.xml"
  reports+=("$report")
  rm -f "$report"
  echo "==== $preset: testing"
  ctest --preset "$preset" --parallel "$jobs" --output-junit "$report" "$@" || true
}

stop() {
  echo "run-tests.sh: $*" >&2
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

main "$@"
