#!/usr/bin/env bash
# install-deps.sh GROUP…: installs what tools/packages.txt lists for these groups and the system does not have yet.
# Never removes a package. Says nothing when nothing is missing. CULMEN_SKIP_DEPS=1 skips it.
set -euo pipefail

list="$(dirname "$0")/packages.txt"
known="debian-12 debian-13 ubuntu-24.04"

main() {
  [ "${CULMEN_SKIP_DEPS:-}" = 1 ] && return
  [ $# -gt 0 ] || fail "usage: install-deps.sh GROUP…   (groups: $(groups))"
  local group
  for group in "$@"; do
    [[ " $(groups) " == *" $group "* ]] || fail "there is no package group \"$group\"; there are: $(groups)"
  done

  local system wanted missing
  system="$(system_name)"
  if [[ " $known " != *" $system "* ]] || ! command -v dpkg-query > /dev/null; then
    on_unknown_system "$system" "$@"
  fi
  wanted="$(packages_of "$system" "$@")"
  missing="$(not_installed $wanted)"
  [ -n "$missing" ] || return 0
  check_conflicts $missing
  install $missing
}

# ID and VERSION_ID of the system, as "debian-12".
system_name() {
  local ID=unknown VERSION_ID=""
  # shellcheck disable=SC1090
  [ -r "${CULMEN_OS_RELEASE:-/etc/os-release}" ] && . "${CULMEN_OS_RELEASE:-/etc/os-release}"
  echo "$ID-$VERSION_ID"
}

groups() { awk '/^#/ || NF == 0 || $1 == "conflict" {next} !seen[$1]++ {printf "%s%s", sep, $1; sep = " "}' "$list"; }

packages_of() {
  awk -v os="$1" -v groups=" ${*:2} " '
    /^#/ || NF == 0 || index(groups, " " $1 " ") == 0 {next}
    NF == 2 {print $2; next}
    {for (i = 3; i <= NF; i++) if ($i == os) print $2}' "$list" | sort -u
}

not_installed() {
  local installed
  installed=" $(dpkg-query -W -f '${db:Status-Status}/${Package}\n' "$@" 2> /dev/null |
    sed -n 's,^installed/,,p' | tr '\n' ' ')"
  local package
  for package in "$@"; do
    [[ "$installed" == *" $package "* ]] || echo "$package"
  done
}

check_conflicts() {
  local package other
  while read -r package other; do
    [[ " $* " == *" $package "* ]] || continue
    [ -z "$(not_installed "$other")" ] || continue
    fail "culmen needs $package, which cannot be installed while $other is, and this script removes nothing.
If nothing of yours needs $other, remove it as root and run this again:
    apt-get remove $other"
  done < <(awk '$1 == "conflict" {print $2, $3}' "$list")
}

install() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || fail "these packages are missing, and there is no sudo to install them with. As root:
    apt-get install $*"
    as_root=(sudo)
  fi
  echo "Installing with ${as_root[*]:+${as_root[*]} }apt-get:" "$@"
  local log
  log="$(mktemp)"
  # A source of packages that cannot be read need not be one of those that matter: whether it is shows when installing.
  if ! { "${as_root[@]}" apt-get -q -q update || true; "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 install "$@"; } > "$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "apt-get did not install them; its reason stands above. Where it \"would remove\" a package: that package and
one of the list exclude each other, and it is yours to decide which goes."
  fi
  rm -f "$log"
}

on_unknown_system() {
  local system="$1"
  shift
  # A relative of a known system that has all the packages by the newer names is fine as it is.
  if command -v dpkg-query > /dev/null && [ -z "$(not_installed $(packages_of debian-13 "$@"))" ]; then exit 0; fi
  cat >&2 << TEXT
This system ($system) is not one of those whose packages are known here ($known).
Please install what these packages hold, by whatever names your system has for them:
$(packages_of debian-13 "$@" | sed 's/^/    /')
At least: a C++20 compiler (g++ 12, clang 14), CMake 3.25, Boost 1.81, OpenSSL 3.0, libcurl 7.87.
When they are there, go on with CULMEN_SKIP_DEPS=1 set in the environment.
TEXT
  exit 1
}

fail() {
  echo "install-deps.sh: $*" >&2
  exit 1
}

main "$@"
