#!/usr/bin/env bash
# get-peers.sh [--refresh]: fetches the programs that culmen is measured beside, in their newest versions, from Debian's forky
# suite, by this machine's own mirror. They are unpacked into the cache folder; nothing is installed, and apt checks the
# signatures. What is there already is kept, unless --refresh is given. Prints what it got, and what was not to be had.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"

suite=forky
cache="${CULMEN_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/culmen}"
peers="$cache/peers"
refresh="${1:-}"

main() {
  case "$refresh" in
    '' | --refresh) ;;
    *)
      echo "usage: get-peers.sh [--refresh]" >&2
      exit 2
      ;;
  esac
  mkdir -p "$peers"
  work="$(mktemp -d "$cache/get-peers.XXXXXX")"
  trap 'rm -rf "$work"' EXIT

  get lego alone
  get caddy alone
  get acme.sh alone
  get uacme with_libraries
  get acmez go
  "$here/../tools/get-pebble.sh" newest > "$work/pebble" || true
  report pebble "$(cat "$work/pebble")" "see above"
  [ -x /usr/bin/certbot ] || echo "certbot: not fetched, as it is many Python packages: 'apt-get install certbot', if it is wanted"
}

# get NAME HOW: into $peers/NAME, whose file VERSION says which it is. One that fails does not keep the others.
get() {
  local name="$1" how="$2" problem=""
  if [ ! -e "$peers/$name/VERSION" ] || [ "$refresh" = --refresh ]; then
    # Not in a condition: there, bash would go on after a command that failed.
    set +e
    problem="$(set -e; prepare; cd "$work"; "get_$how" "$name" 2>&1)"
    set -e
  fi
  report "$name" "$(cat "$peers/$name/VERSION" 2> /dev/null)" "$(tail -n 1 <<< "$problem")"
}

report() {
  if [ -n "$2" ]; then echo "$1: $2"; else echo "$1: not to be had: ${3:-the reason is not known}"; fi
}

# The package lists, once.
prepare() {
  # shellcheck source=tools/private-apt.sh
  . "$here/../tools/private-apt.sh"
  if [ -e "$work/apt/ready" ]; then
    export APT_CONFIG="$work/apt/apt.conf"
    return
  fi
  private_apt "$suite" "$work/apt" || fail "no package mirror of this machine carries Debian's $suite suite"
  touch "$work/apt/ready"
}

# A program that needs no newer library than the system has.
get_alone() {
  rm -rf unpacked ./*.deb
  private_fetch download "$1" || fail "the package is not to be had"
  dpkg-deb -x "$1"_*.deb unpacked
  keep "$1" "$(dpkg-deb -f "$1"_*.deb Version)"
}

# A program with every library it needs, down to the loader: for a system whose libc is older.
get_with_libraries() {
  fetch_closure "$1"
  unpack_closure '*'
  keep "$1" "$(dpkg-deb -f apt/cache/archives/"$1"_*.deb Version)"
}

# The Go compiler, and the library acmez with those that it imports.
get_go() {
  local compiler
  compiler="$(apt-cache depends golang-go | sed -n 's/.*Depends: \(golang-[0-9.]*-go\)$/\1/p')"
  [ -n "$compiler" ] || fail "golang-go names no compiler"
  fetch_closure "$compiler" golang-github-mholt-acmez-v3-dev
  unpack_closure 'golang-*'
  keep "$1" "$(dpkg-deb -f apt/cache/archives/golang-github-mholt-acmez-v3-dev_*.deb Version), Go $(dpkg-deb -f apt/cache/archives/"$compiler"_*.deb Version)"
}

fetch_closure() {
  rm -f apt/cache/archives/*.deb
  apt-get -q -q -y --download-only install "$@" || fail "the packages are not to be had"
}

unpack_closure() {
  local package
  rm -rf unpacked
  for package in apt/cache/archives/$1.deb; do
    dpkg-deb -x "$package" unpacked
  done
}

keep() {
  echo "$2" > unpacked/VERSION
  rm -rf "${peers:?}/$1"
  mv unpacked "$peers/$1"
}

fail() {
  echo "$*"
  exit 1
}

main
