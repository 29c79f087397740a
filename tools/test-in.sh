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
  local new="$userland.new" mirror components
  find_mirror
  echo "==== $distribution: debootstrap from $mirror"
  rm -rf "$new"  # left by a run that was interrupted
  # --force-check-gpg: without a keyring it would otherwise trust everything.
  debootstrap --force-check-gpg --variant=minbase --include=make --components="$components" \
    "$distribution" "$new" "$mirror" > "$log" 2>&1 9>&- || fail_with_log "debootstrap failed"
  copy_apt_settings "$new"
  mv "$new" "$userland"
}

# Sets mirror and components to the first entry of the machine's apt configuration whose mirror carries the distribution.
# Exports the proxies and the logins that apt uses, for debootstrap, which has no configuration of its own.
find_mirror() {
  local name proxy
  for name in http https; do
    proxy="$(apt-config dump --format '%v' "Acquire::$name::Proxy")"
    [ -z "$proxy" ] || export "${name}_proxy=$proxy"
  done
  home="$(mktemp -d)"
  trap 'rm -rf "$home"' EXIT
  export HOME="$home"
  (umask 077 && cat /etc/apt/auth.conf /etc/apt/auth.conf.d/*.conf > "$HOME/.netrc" 2> /dev/null) || true

  local entries
  entries="$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(COMPONENT)' "Created-By: Packages" | sort -u)"
  for mirror in $(cut -d ' ' -f 1 <<< "$entries" | uniq); do
    components="$(awk -v mirror="$mirror" '$1 == mirror {print $2}' <<< "$entries" | paste -s -d ,)"
    ! timeout 60 wget -q --spider "${mirror}dists/$distribution/InRelease" || return 0
  done
  fail "no package mirror in this machine's apt configuration carries \"$distribution\". Looked at:
${entries:-(nothing: the configuration names no mirror)}"
}

# What the machine's apt needs to reach its mirror: proxies, certificates, logins, and how it judges dates.
copy_apt_settings() {
  local to="$1" file
  apt-config dump | grep -E '^Acquire::(http|https|Check-)' > "$to/etc/apt/apt.conf.d/90test-in" || true
  for file in $(sed -n 's/.* "\(\/.*\)";$/\1/p' "$to/etc/apt/apt.conf.d/90test-in") /etc/apt/auth.conf \
    /etc/apt/auth.conf.d/* /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/*; do
    [ ! -f "$file" ] || (mkdir -p "$to${file%/*}" && cp -p "$file" "$to$file")
  done
}

enter_userland() {
  mount --rbind /dev "$userland/dev"
  mount -t proc proc "$userland/proc"
  cp -L /etc/resolv.conf /etc/hosts "$userland/etc/"
  echo "==== $distribution: updating the userland"
  inside apt-get -q -q update > "$log" 2>&1 || fail_with_log "apt-get update failed"
  inside apt-get -q -q -y upgrade > "$log" 2>&1 || fail_with_log "apt-get upgrade failed"
}

# inside COMMAND…: runs a command in the userland, with an environment of its own.
inside() {
  chroot "$userland" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive ${CULMEN_JOBS:+CULMEN_JOBS="$CULMEN_JOBS"} "$@" < /dev/null 9>&-
}

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

fail_with_log() {
  tail -n 30 "$log" >&2
  fail "$1; the log is $log"
}

fail() {
  echo "test-in.sh: $*" >&2
  exit 1
}

main "$@"
