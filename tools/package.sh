#!/usr/bin/env bash
# package.sh: makes the Debian packages in build/package/packages, and has lintian judge them. The same commit gives the same
# packages; their date is SOURCE_DATE_EPOCH, or else that of the commit.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  SOURCE_DATE_EPOCH="$(git log -1 --format=%ct 2> /dev/null || date +%s)"
  export SOURCE_DATE_EPOCH
fi
folder=build/package/packages
umask 022
# A compiler cache does not tell apart the folders that a file was compiled in, and OpenSSL's macros have their names.
export CCACHE_DISABLE=1

tools/build.sh package
tools/check_hardening.sh build/package/culmen
rm -rf "$folder"
(cd build/package && cpack) > build/package/cpack.log 2>&1 || {
  tail -n 40 build/package/cpack.log >&2
  echo "package.sh: cpack failed; the log is build/package/cpack.log" >&2
  exit 1
}
rm -rf "$folder/_CPack_Packages"
lintian --allow-root --fail-on error,warning "$folder"/*.deb
ls -s --block-size=kB "$folder"/*.deb
