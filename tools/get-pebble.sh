#!/usr/bin/env bash
# get-pebble.sh newest|distribution: prints the folder that holds `pebble` and `pebble-challtestsrv`.
#
# newest         from Debian's forky suite, by this machine's own mirror; unpacked into the cache folder, not installed.
#                Once it is there nothing is fetched again; `newest --refresh` looks for a newer one.
# distribution   the system's own package.
# Exits 3, and says why, where there is none.
set -euo pipefail

suite=forky
cache="${CULMEN_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/culmen}"

main() {
  case "${1:-}" in
    newest) newest "${2:-}" ;;
    distribution) distribution ;;
    *) none "usage: get-pebble.sh newest [--refresh] | distribution" ;;
  esac
}

newest() {
  local have
  have="$(find "$cache" -mindepth 1 -maxdepth 1 -name 'pebble-*' 2> /dev/null | sort -V | tail -n 1 || true)"
  if [ -n "$have" ] && [ "$1" != --refresh ]; then
    echo "$have/usr/bin"
    return
  fi

  . "$(dirname "$0")/private-apt.sh"
  local version
  mkdir -p "$cache"
  work="$(mktemp -d "$cache/get-pebble.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  private_apt "$suite" "$work" || none "no package mirror of this machine carries Debian's $suite suite, whose Pebble is the newest"
  cd "$work"
  private_fetch download pebble >&2
  version="$(dpkg-deb -f pebble_*.deb Version)"
  dpkg-deb -x pebble_*.deb unpacked
  # An old system may lack what a new package needs: better to know now than in the middle of a test.
  unpacked/usr/bin/pebble -help > help 2>&1 || grep -q -- -config help ||
    none "Pebble $version does not run on this system: $(head -n 1 help)"
  rm -rf "$cache/pebble-$version"
  mv unpacked "$cache/pebble-$version"
  echo "$cache/pebble-$version/usr/bin"
}

distribution() {
  local program
  for program in pebble pebble-challtestsrv; do
    [ -x "/usr/bin/$program" ] || none "$program is not installed; tools/install-deps.sh test installs it"
  done
  echo /usr/bin
}

none() {
  echo "get-pebble.sh: $*" >&2
  exit 3
}

main "$@"
