#!/usr/bin/env bash
# run-fuzzers.sh SECONDS [JOBS [NAME…]]: runs each fuzz target, or those named, that long, from its seeds, JOBS of them at
# a time (as many as there are processors). What it finds lands in build/fuzz/found/, what each target printed beside it.
# Leaks are looked for when a target ends: after each input OpenSSL's caches look like one, and every look stops the
# process for a tenth of a second.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-20}"
jobs="${2:-$(nproc)}"
tools/build.sh fuzz

run_target() {  # NAME SECONDS
  local log="build/fuzz/found/$1.log" status=0
  mkdir -p "build/fuzz/corpus/$1"
  "build/fuzz/fuzz/$1_fuzz" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -detect_leaks=0 -print_final_stats=1 \
    -verbosity=0 -artifact_prefix="build/fuzz/found/$1-" "build/fuzz/corpus/$1" "fuzz/corpus/$1" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    echo "$1: found something (exit status $status); $log ends with:"
    tail -n 40 "$log"
    return 1
  fi
  echo "$1: nothing found in $2 s, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
}
export -f run_target

mkdir -p build/fuzz/found
names=("${@:3}")
[ "${#names[@]}" -gt 0 ] || mapfile -t names < <(basename -s _fuzz.cpp fuzz/*_fuzz.cpp)
[ "${#names[@]}" -gt 0 ] || { echo "run-fuzzers.sh: no fuzz target" >&2; exit 1; }
printf '%s\0' "${names[@]}" | xargs -0 -P "$jobs" -I NAME bash -c 'set -euo pipefail; run_target "$@"' run_target NAME "$seconds"
echo "${#names[@]} fuzz targets ran $seconds s each and found nothing"
