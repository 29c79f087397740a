#!/usr/bin/env bash
# get-servers.sh [FOLDER]: unpacks the servers that the tests run, from the distribution's own packages, into FOLDER
# (build/servers): nothing is installed, so nothing is started. A server's program is FOLDER/NAME/program;
# FOLDER/NAME/libraries has the libraries that the system lacks. What is there is not fetched again.
#
# The packages come from the sources that this machine's package configuration names, with package lists of this script's
# own. Exits 3, and says why, where another distribution than Debian has no such package or cannot run it.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=(nginx:usr/sbin/nginx caddy:usr/bin/caddy)
. tools/private-apt.sh

main() {
  folder="$(realpath -m "${1:-build/servers}")"
  local server missing=()
  for server in "${servers[@]}"; do
    [ -x "$folder/${server%%:*}/program" ] || missing+=("$server")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0

  mkdir -p "$folder"
  work="$(mktemp -d "$folder/getting.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  own_lists
  for server in "${missing[@]}"; do get "${server%%:*}" "${server#*:}"; done
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

# get NAME PROGRAM
get() {
  local name="$1" to="$work/$1" library
  unpack "$name" "$to" || none "the package $name could not be had from the mirror"
  mkdir "$to/libraries"
  if ldd "$to/$2" | grep -q 'not found'; then
    while read -r library; do
      unpack "$library" "$work/needed-$name" ||
        none "the package $library, which $name needs, could not be had from the mirror"
    done < <(apt-cache depends --important "$name" | sed -n 's/^ *Depends: \(lib.*\)/\1/p' | grep -v '^libc6$')
    find "$work/needed-$name" -name 'lib*.so*' -exec cp -a {} "$to/libraries" \;
  fi
  LD_LIBRARY_PATH="$to/libraries" "$to/$2" -h > "$work/help" 2>&1 ||
    none "$name does not run here: $(head -n 1 "$work/help")"
  ln -s "$2" "$to/program"
  # Another build of this tree can have been quicker.
  mv -T "$to" "$folder/$name" || [ -x "$folder/$name/program" ]
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
