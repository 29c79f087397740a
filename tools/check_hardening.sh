#!/usr/bin/env bash
# check_hardening.sh PROGRAM: fails unless the program has what CULMEN_HARDENED promises, and no path of this machine in it.
set -euo pipefail
cd "$(dirname "$0")/.."
program="$1"
faults=0

main() {
  local headers dynamic symbols
  headers="$(readelf --wide --file-header --program-headers "$program")"
  dynamic="$(readelf --wide --dynamic "$program")"
  symbols="$(readelf --wide --dyn-syms "$program")"

  expect "is position independent" 'Type: *DYN' "$headers"
  expect "has RELRO" 'GNU_RELRO' "$headers"
  expect "has a stack that is not executable" 'GNU_STACK .* RW ' "$headers"
  expect "binds all symbols when it starts (BIND_NOW)" 'BIND_NOW|FLAGS_1.* NOW' "$dynamic"
  expect "has stack protectors" '__stack_chk_fail' "$symbols"
  expect "has FORTIFY" '__[a-z]+_chk@' "$symbols"
  expect "has checked containers" '__glibcxx_assert_fail' "$symbols"
  if [ "$(uname -m)" = x86_64 ]; then
    local landings
    landings="$(objdump --disassemble --no-show-raw-insn "$program" | grep -c endbr64 || true)"
    [ "$landings" -gt 1000 ] || fault "was compiled without -fcf-protection ($landings landing points)"
  fi
  ! grep -E -q 'RPATH|RUNPATH' <<< "$dynamic" || fault "has a search path for libraries"
  ! grep -F -q "$PWD" "$program" || fault "has the path of this source tree in it"
  [ "$faults" = 0 ] || exit 1
  echo "$program is hardened"
}

expect() {
  grep -E -q "$2" <<< "$3" || fault "is to be a program that $1, and is not"
}

fault() {
  echo "check_hardening.sh: $program $1" >&2
  faults=$((faults + 1))
}

main
