#!/usr/bin/env bash
# check.sh: what a machine can say about the tree without running it. Every check runs; the exit status is 0 if all are content.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()

check() {
  local name="$1"
  shift
  printf '%-14s ' "$name"
  local output
  if output="$("$@" 2>&1)"; then
    echo "ok${output:+: $(tail -n 1 <<< "$output")}"
  else
    echo "FAILED"
    printf '%s\n' "$output" | head -n 200
    failed+=("$name")
  fi
}

# The layout of clang-format differs from version to version: only version 14 is the judge.
formatting() {
  local tool=""
  if command -v clang-format-14 > /dev/null; then
    tool=clang-format-14
  elif clang-format --version 2> /dev/null | grep -q 'version 14\.'; then
    tool=clang-format
  else
    echo "not judged: there is no clang-format 14 here"
    return 0
  fi
  find include src cli testca tests fuzz examples bench -name '*.[ch]pp' -print0 | xargs -0 "$tool" --dry-run --Werror
}

# What is written from the options of the program, judged by what reads it.
pages() {
  local folder=build/demo-check/pages
  mandoc -T lint -W warning "$folder"/*.1 && shellcheck --shell bash "$folder/culmen.bash" &&
    zsh -n "$folder/_culmen" && fish --no-execute "$folder/culmen.fish"
}

check formatting formatting
check text python3 tools/check_text.py
check documents python3 tools/check_docs.py
check parity python3 tools/check_parity.py
check layers python3 tools/check_layers.py
check faces python3 tools/check_faces.py
check picture python3 tools/draw_rooms.py --check
check co_await python3 tools/check_co_await.py
check std_names python3 tools/check_std_names.py
check headers python3 tools/check_headers.py
# What `make demo` builds: a unity build without a warning.
check demo-build tools/build.sh demo-check culmen_program culmen_pages
check pages pages

if [ "${#failed[@]}" -gt 0 ]; then
  echo "make check: failed: ${failed[*]}" >&2
  exit 1
fi
