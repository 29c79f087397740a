#!/usr/bin/env bash
# run-fuzzers.sh SECONDS: runs each fuzz target that long, from its seeds; what it finds lands in build/fuzz/found/.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-20}"
tools/build.sh fuzz
found="$PWD/build/fuzz/found"
mkdir -p "$found"
count=0
for source in fuzz/*_fuzz.cpp; do
  [ -e "$source" ] || continue
  name="$(basename "$source" _fuzz.cpp)"
  echo "==== $name: $seconds s"
  mkdir -p "build/fuzz/corpus/$name"
  "build/fuzz/fuzz/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=0 \
    -verbosity=0 -artifact_prefix="$found/$name-" "build/fuzz/corpus/$name" "fuzz/corpus/$name"
  count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "run-fuzzers.sh: no fuzz target" >&2; exit 1; }
echo "$count fuzz targets ran $seconds s each and found nothing"
