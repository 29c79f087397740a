#!/usr/bin/env bash
# test-in.sh DISTRIBUTION [TARGET…]: runs make targets (default: test demo) on another distribution. DISTRIBUTION is a
# codename, such as trixie or bookworm, that a package mirror of this machine's apt configuration carries.
#
# debootstrap makes the userland in build/userland/DISTRIBUTION. Later runs reuse it, with its compiler cache; remove the
# folder to start afresh. Each run gets a new copy of the working tree: every file that git tracks or does not ignore.
# Needs root. It mounts in a mount namespace of its own, so nothing stays mounted. CULMEN_JOBS is passed on.
# Fails when a target fails, or when the compiler prints a warning. The last line is the summary of the last target that has one.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/userland.sh

distribution="${1:-}"
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(test demo)
userland="$PWD/build/userland/$distribution"
log="$userland.log"
limit="${CULMEN_TEST_IN_LIMIT:-10800}"

main() {
  [[ "$distribution" =~ ^[a-z][a-z0-9-]*$ ]] || fail "usage: test-in.sh DISTRIBUTION [TARGET…], for example: test-in.sh trixie test"
  [ "$(id -u)" = 0 ] || fail "must be run as root: it makes a root file system and changes into it"
  if [ "${CULMEN_TEST_IN_NAMESPACE:-}" != 1 ]; then
    tools/install-deps.sh userland
    local status=0
    # The process namespace ends every process of the run with it, also when the time is over.
    CULMEN_TEST_IN_NAMESPACE=1 timeout --foreground --signal KILL "$limit" \
      unshare --mount --propagation private --pid --fork --kill-child -- \
      tools/test-in.sh "$distribution" "${targets[@]}" || status=$?
    [ "$status" != 137 ] || fail "stopped: it was killed, or took longer than $limit seconds (CULMEN_TEST_IN_LIMIT)"
    exit "$status"
  fi
  trap 'exit 130' INT TERM  # process 1 of a namespace ignores them otherwise

  mkdir -p build/userland
  exec 9> "$userland.lock"
  flock -n 9 || fail "$userland is in use by another run"
  [ -d "$userland" ] || make_userland
  enter_userland
  copy_tree
  run_targets
}

make_userland() {
  debootstrap_to "$userland" "$distribution" "$log" --include=make
}

enter_userland() {
  mount_in "$userland"
  echo "==== $distribution: updating the userland"
  inside apt-get -q -q update > "$log" 2>&1 || fail_with_log "$log" "apt-get update failed"
  inside apt-get -q -q -y upgrade > "$log" 2>&1 || fail_with_log "$log" "apt-get upgrade failed"
}

# inside COMMAND…: runs a command in the userland.
inside() { run_inside "$userland" "$@" 9>&-; }

copy_tree() {
  rm -rf "$userland/culmen"
  mkdir "$userland/culmen"
  git ls-files -z --cached --others --exclude-standard |
    while read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar -c --null -T - | tar -x --no-same-owner -C "$userland/culmen"
}

run_targets() {
  local target summary passed failed skipped
  local wrong=()
  : > "$log"
  for target in "${targets[@]}"; do
    echo "==== $distribution: make $target"
    inside make -C /culmen --no-print-directory "$target" 2>&1 | tee -a "$log" || wrong+=("make $target failed")
  done
  ! grep -q -E ': warning: ' "$log" || wrong+=("the compiler printed warnings; the log is $log")
  summary="$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1 || true)"
  read -r passed failed skipped <<< "$(tr -cs '0-9\n' ' ' <<< "${summary:-0 0 0}")"
  if [ ${#wrong[@]} -gt 0 ]; then
    printf 'test-in.sh: %s\n' "${wrong[@]/#/$distribution: }" >&2
    # What failed beside the tests counts too.
    [ "$failed" -gt 0 ] || failed=${#wrong[@]}
    echo "$passed passed, $failed failed, $skipped skipped"
    exit 1
  fi
  echo "==== $distribution: passed: ${targets[*]}"
  [ -z "$summary" ] || echo "$summary"
}

fail() {
  echo "test-in.sh: $*" >&2
  exit 1
}

main "$@"
