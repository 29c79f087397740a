#!/usr/bin/env bash
# get-servers.sh [FOLDER]: unpacks the servers that the tests run, from the distribution's own packages, into FOLDER
# (build/servers): nothing is installed, so nothing is started. A server's program is FOLDER/NAME/program;
# FOLDER/NAME/libraries has the libraries that the system lacks. What is there is not fetched again.
#
# The packages come from the sources that this machine's package configuration names, with package lists of this script's
# own. Exits 3, and says why, where another distribution than Debian has no such package or cannot run it.
set -euo pipefail
cd "$(dirname "$0")/.."

# name:program:an option with which the program only says something
servers=(nginx:usr/sbin/nginx:-h caddy:usr/bin/caddy:-h 'postgresql:usr/lib/postgresql/*/bin/postgres:--version'
  pgbouncer:usr/sbin/pgbouncer:--version haproxy:usr/sbin/haproxy:-v runit:usr/bin/chpst:true)
. tools/private-apt.sh

main() {
  folder="$(realpath -m "${1:-build/servers}")"
  local server missing=() name program option
  for server in "${servers[@]}"; do
    [ -x "$folder/${server%%:*}/program" ] || missing+=("$server")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0

  mkdir -p "$folder"
  work="$(mktemp -d "$folder/getting.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  own_lists
  for server in "${missing[@]}"; do
    IFS=: read -r name program option <<< "$server"
    get "$name" "$program" "$option"
  done
}

# The machine's sources and keys, and package lists in a folder that needs no root.
own_lists() {
  command -v apt-get > /dev/null || none "this system has no apt-get"
  mkdir -p "$work"/apt/{state/lists/partial,cache/archives/partial}
  cat > "$work/apt/apt.conf" << CONF
Dir::State "$work/apt/state";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Debug::NoLocking "1";
CONF
  export APT_CONFIG="$work/apt/apt.conf"
  # A source that cannot be read need not be the one that matters: whether it is shows when downloading.
  apt-get -q -q update > "$work/log" 2>&1 || true
}

# get NAME PROGRAM OPTION
get() {
  local name="$1" to="$work/$1" package program
  package="$(package_of "$name")"
  unpack "$package" "$to" || none "the package $package could not be had from the mirror"
  # shellcheck disable=SC2086
  program="$(cd "$to" && ls -d $2)" || none "the package $package has no $2"
  rm -rf "$to"/usr/lib/postgresql/*/lib/bitcode "$to"/usr/share/{doc,locale}
  get_libraries "$name" "$package" "$to" "$to/$program" "$(dirname "$to/$program")/initdb"
  LD_LIBRARY_PATH="$to/libraries" "$to/$program" "$3" > "$work/help" 2>&1 ||
    none "$name does not run here: $(head -n 1 "$work/help")"
  ln -s "$program" "$to/program"
  # Another build of this tree can have been quicker.
  mv -T "$to" "$folder/$name" || [ -x "$folder/$name/program" ]
}

# PostgreSQL's package has the version in its name; another one depends on the newest.
package_of() {
  [ "$1" = postgresql ] || { echo "$1" && return; }
  apt-cache depends postgresql | sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p' | grep . || echo postgresql
}

# get_libraries NAME PACKAGE TO PROGRAM…: the libraries that the programs lack, those of the package first, then those of its
# libraries. PostgreSQL's just-in-time compiler is a module, and the largest of all: it stays away.
get_libraries() {
  local name="$1" wanted=("$2") to="$3" seen=libc6 library
  mkdir "$to/libraries"
  shift 3
  while [[ "$(LD_LIBRARY_PATH="$to/libraries" ldd "$@" 2> /dev/null)" == *'not found'* ]]; do
    mapfile -t wanted < <(apt-cache depends --important "${wanted[@]}" | sed -n 's/^ *Depends: \(lib.*\)/\1/p' |
      sort -u | grep -v '^libllvm' | grep -vxF "$seen")
    [ "${#wanted[@]}" -gt 0 ] || none "$name needs libraries that its packages do not name"
    for library in "${wanted[@]}"; do
      unpack "$library" "$work/needed-$name" ||
        none "the package $library, which $name needs, could not be had from the mirror"
      seen+=$'\n'"$library"
    done
    find "$work/needed-$name" -name 'lib*.so*' -exec cp -a -t "$to/libraries" {} +
  done
}

# unpack PACKAGE FOLDER
unpack() {
  mkdir -p "$work/$1.deb"
  (cd "$work/$1.deb" && private_fetch download "$1") >> "$work/log" 2>&1 && dpkg-deb -x "$work/$1.deb"/*.deb "$2"
}

none() {
  [ ! -s "$work/log" ] || tail -n 12 "$work/log" >&2  # what apt-get said
  echo "get-servers.sh: $*" >&2
  (. /etc/os-release && [[ ${ID:-} == debian ]]) && exit 1
  exit 3
}

main "$@"
