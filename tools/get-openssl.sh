#!/bin/bash
# Builds OpenSSL >= 3.5 (for ML-DSA) from the source package of Debian 13, once, and prints where it is.
#
#   tools/get-openssl.sh            the folder goes to standard output, what happens to standard error
#   tools/get-openssl.sh --packages the packages this needs, one a line
#
# The source comes from the mirror this machine's own apt configuration names; apt checks its signatures. Nothing is
# installed, and apt's own lists stay as they are. The result is kept in ${CULMEN_CACHE_DIR}, by default
# ${XDG_CACHE_HOME:-~/.cache}/culmen, as openssl-<version>; remove that folder to get a newer one.
set -euo pipefail
umask 022

suite=trixie
packages=(dpkg-dev build-essential perl xz-utils debian-archive-keyring util-linux)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "get-openssl: $*" >&2; }
die() { say "$@"; exit 1; }

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
[[ -e $keyring ]] || missing+=("$keyring")
[[ ${#missing[@]} -eq 0 ]] || die "missing: ${missing[*]}. Install them: apt-get install ${packages[*]}"

distribution=$(. /etc/os-release && echo "${ID:-unknown}")
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[[ $distribution == debian ]] ||
  die "this is $distribution, whose mirrors have no suite $suite with the source of OpenSSL 3.5." \
      "Install OpenSSL 3.5 or newer yourself (Ubuntu has it from 25.10 on) and configure with -DCULMEN_OPENSSL=system" \
      "-DOPENSSL_ROOT_DIR=<where it is>, or configure with -DCULMEN_OPENSSL=system and do without ML-DSA keys."

# The mirror of the distribution itself, not of its security updates or of other vendors.
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
  awk -v codename="$codename" '$1 == codename || $1 == "stable" || $1 == "oldstable" { print $2; exit }')
[[ -n $mirror ]] ||
  die "apt's configuration names no mirror for $codename; see 'apt-get indextargets'. Without one the source of" \
      "OpenSSL 3.5 cannot be fetched."

# ---- One builder at a time ------------------------------------------------------------------------------------------
mkdir -p "$cache"
exec 9>"$cache/openssl.lock"
flock -n 9 || { say "another build of OpenSSL is under way; waiting for it"; flock 9; }
if finished; then exit 0; fi

work=$(mktemp -d "$cache/building-openssl.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$cache/openssl-build.log

# ---- The source -----------------------------------------------------------------------------------------------------
say "fetching the source of OpenSSL ($suite) from ${mirror%/}"
mkdir -p "$work"/{empty.d,state/lists/partial,cache/archives/partial,source}
touch "$work"/{status,empty.pref}
cat >"$work/suite.sources" <<EOF
Types: deb-src
URIs: $mirror
Suites: $suite
Components: main
Signed-By: $keyring
EOF
cat >"$work/apt.conf" <<EOF
Dir::Etc::SourceList "$work/suite.sources";
Dir::Etc::SourceParts "$work/empty.d";
Dir::Etc::Preferences "$work/empty.pref";
Dir::Etc::PreferencesParts "$work/empty.d";
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "1";
APT::Sandbox::User "$(id -un)";
EOF
export APT_CONFIG=$work/apt.conf
(
  cd "$work/source"
  # apt-get update ends well even when it could not read a list: the error mode makes it fail.
  apt-get -q -o APT::Update::Error-Mode=any update && apt-get -q --download-only source openssl
) >"$log" 2>&1 9>&- || { tail -n 20 "$log" >&2; die "the source package could not be fetched; the log is $log"; }
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
