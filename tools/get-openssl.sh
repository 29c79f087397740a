#!/bin/bash
# Builds OpenSSL >= 3.5 (for ML-DSA) from the source package of Debian 13, once, and prints where it is.
#
#   tools/get-openssl.sh            the folder goes to standard output, what happens to standard error
#   tools/get-openssl.sh --packages the packages this needs, one a line
#
# The source comes from the mirror this machine's own apt configuration names; apt checks its signatures. Nothing is
# installed, and apt's own lists stay as they are. The result is kept in ${CULMEN_CACHE_DIR}, by default
# ${XDG_CACHE_HOME:-~/.cache}/culmen, as openssl-<version>; remove that folder to get a newer one.
# Exits 3 where the machine's mirrors have no such source: on Ubuntu, say.
set -euo pipefail
umask 022

. "$(dirname "$0")/private-apt.sh"
suite=trixie
packages=(dpkg-dev build-essential perl xz-utils util-linux)

say() { echo "get-openssl: $*" >&2; }
die() { say "$@"; exit 1; }
no_suite() {
  if (. /etc/os-release && [[ ${ID:-} == debian ]]); then
    cat "$work/apt/log" >&2 || true
    die "the package mirror could not be read"
  fi
  say "no package mirror of this machine carries Debian's suite $suite with the source of OpenSSL 3.5." \
    "Install OpenSSL 3.5 or newer yourself (Ubuntu has it from 25.10 on) and configure with -DCULMEN_OPENSSL=system" \
    "-DOPENSSL_ROOT_DIR=<where it is>, or configure with -DCULMEN_OPENSSL=system and do without ML-DSA keys."
  exit 3
}

if [[ ${1:-} == --packages ]]; then printf '%s\n' "${packages[@]}"; exit 0; fi
[[ $# -eq 0 ]] || die "unknown argument: $1"

cache=${CULMEN_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/culmen}

# The newest one that was finished: a folder gets its name only when all of it is there.
finished() {
  local found
  found=$(find "$cache" -mindepth 1 -maxdepth 1 -type d -name 'openssl-[0-9]*' 2>/dev/null | sort -V | tail -n 1)
  [[ -n $found ]] && echo "$found"
}

if finished; then exit 0; fi

# ---- What this machine must have ------------------------------------------------------------------------------------
missing=()
for program in apt-get dpkg-source make cc perl xz flock; do
  command -v "$program" >/dev/null || missing+=("$program")
done
[[ " ${missing[*]} " != *" apt-get "* ]] ||
  die "this system has no apt-get. Install OpenSSL 3.5 or newer yourself and configure with" \
      "-DCULMEN_OPENSSL=system -DOPENSSL_ROOT_DIR=<where it is>, or do without ML-DSA keys."
[[ ${#missing[@]} -eq 0 ]] || die "missing: ${missing[*]}. Install them: apt-get install ${packages[*]}"

# ---- One builder at a time ------------------------------------------------------------------------------------------
mkdir -p "$cache"
exec 9>"$cache/openssl.lock"
flock -n 9 || { say "another build of OpenSSL is under way; waiting for it"; flock 9; }
if finished; then exit 0; fi

work=$(mktemp -d "$cache/building-openssl.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$cache/openssl-build.log

# ---- The source -----------------------------------------------------------------------------------------------------
say "fetching the source of OpenSSL ($suite)"
mkdir "$work/source"
private_apt "$suite" "$work/apt" 9>&- || no_suite
(cd "$work/source" && private_fetch source openssl) >"$log" 2>&1 9>&- ||
  { tail -n 20 "$log" >&2; die "the source package could not be fetched; the log is $log"; }
dsc=$(find "$work/source" -name 'openssl_*.dsc' | head -n 1)
[[ -n $dsc ]] || die "apt fetched no source package; the log is $log"
version=$(awk '$1 == "Version:" { print $2; exit }' "$dsc")
dpkg --compare-versions "$version" ge 3.5 || die "the suite $suite has OpenSSL $version; 3.5 or newer is needed"

# ---- The build ------------------------------------------------------------------------------------------------------
target=$cache/openssl-${version//[^0-9A-Za-z.+-]/_}
say "building OpenSSL $version: about two minutes on two cores"
(
  # apt checked the archive's signature over these files; dpkg-source would look for the maintainer's key once more.
  dpkg-source --no-check -x "$dsc" "$work/tree"
  cd "$work/tree"
  ./config --prefix="$target" --openssldir="$target/ssl" --libdir=lib shared no-tests no-docs
  make -j"$(nproc)"
  make DESTDIR="$work/stage" install_sw
) >>"$log" 2>&1 9>&- || { tail -n 30 "$log" >&2; die "building OpenSSL failed; the log is $log"; }

mv "$work/stage$target" "$target"
say "OpenSSL $version is in $target"
echo "$target"
