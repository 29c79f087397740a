#!/usr/bin/env bash
# test-packages.sh [DISTRIBUTION…]: installs the packages of `make package` on fresh minimal systems (default: bookworm and
# trixie), gets a certificate from the test CA, and removes them. Says how long it took from the start of the installation
# to the certificate.
#
# debootstrap makes each system once, in build/userland/DISTRIBUTION.minimal; a run sees it below an overlay in memory, and
# changes nothing. Needs root. Mounts and processes are in namespaces of the run, and end with it.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/userland.sh

limit=900 # seconds for one distribution

main() {
  local distributions=("$@") distribution passed=0 failed=0
  [ ${#distributions[@]} -gt 0 ] || distributions=(bookworm trixie)
  [ "$(id -u)" = 0 ] || fail "must be run as root: it makes root file systems and changes into them"
  compgen -G 'build/package/packages/culmen_*.deb' > /dev/null || fail "there are no packages; run make package"
  mkdir -p build/userland
  for distribution in "${distributions[@]}"; do
    [[ "$distribution" =~ ^[a-z][a-z0-9-]*$ ]] || fail "usage: test-packages.sh [DISTRIBUTION…], for example: test-packages.sh trixie"
    if timeout --foreground --signal KILL "$limit" \
      unshare --mount --propagation private --pid --fork --kill-child -- "$0" --in-namespace "$distribution"; then
      passed=$((passed + 1))
    else
      echo "test-packages.sh: $distribution: failed" >&2
      failed=$((failed + 1))
    fi
  done
  echo "$passed passed, $failed failed, 0 skipped"
  [ "$failed" = 0 ]
}

in_namespace() {
  distribution="$1"
  local base="$PWD/build/userland/$distribution.minimal"
  log="$base.log"
  trap 'exit 130' INT TERM  # process 1 of a namespace ignores them otherwise
  exec 9> "$base.lock"
  flock -n 9 || fail "$base is in use by another run"
  [ -d "$base" ] || debootstrap_to "$base" "$distribution" "$log"

  work="$(mktemp -d)"
  mount -t tmpfs tmpfs "$work"
  mkdir "$work"/{upper,overlay,root}
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/overlay" "$work/root"
  root="$work/root"
  mount_in "$root"
  mkdir "$root/packages"
  cp build/package/packages/*.deb "$root/packages/"
  inside apt-get -q -q update > "$log" 2>&1 || fail_with_log "$log" "apt-get update failed"

  first_certificate
  storage_module
  development_packages
  purge
}

first_certificate() {
  local program start installed end
  program="$(cd "$root" && echo packages/culmen_*.deb)"
  start="$(date +%s%N)"
  inside apt-get -q -y install "/$program" > "$log" 2>&1 || fail_with_log "$log" "apt-get install failed"
  installed="$(date +%s%N)"
  cat > "$root/packages/first.sh" << 'SCRIPT'
set -eu
cd /packages
culmen test-ca --root-file root.pem --http-port 5002 --resolve '*=127.0.0.1' > ca.out &
ca=$!
tries=0
until grep -q https:// ca.out && [ -s root.pem ]; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] && kill -0 $ca
  sleep 0.05
done
culmen issue -d first.test --server "$(grep -o 'https://[^ ]*' ca.out | head -n 1)" --server-ca root.pem --agree-tos \
  --http-address 127.0.0.1 --http-port 5002
kill $ca
wait $ca || true
SCRIPT
  inside sh /packages/first.sh > "$log" 2>&1 || fail_with_log "$log" "there is no certificate"
  end="$(date +%s%N)"
  openssl verify -CAfile "$root/packages/root.pem" -untrusted "$root/var/lib/culmen/certificates/first.test/live/fullchain.pem" \
    -verify_hostname first.test "$root/var/lib/culmen/certificates/first.test/live/fullchain.pem" > "$log" 2>&1 ||
    fail_with_log "$log" "the certificate does not verify"
  echo "$distribution: $(in_seconds $((end - start))) s from apt to the first certificate, of which apt took $(in_seconds $((installed - start))) s"

  [ "$(inside culmen list --names)" = first.test ] || fail "culmen list --names does not show the certificate"
  inside culmen --version | grep -q "$(sed -n 's/^#define CULMEN_VERSION "\(.*\)"$/\1/p' include/culmen/version.hpp)" ||
    fail "culmen --version does not say the version of this source"
  inside dpkg --verify culmen | grep . && fail "files of the package have changed"
  return 0
}

# Where it was built: the program finds it, loads it, and gets as far as the server that is not there.
storage_module() {
  local module
  module="$(cd "$root" && compgen -G 'packages/culmen-storage-postgres_*.deb')" || return 0
  inside apt-get -q -y install "/$module" > "$log" 2>&1 || fail_with_log "$log" "apt-get install failed"
  ! inside culmen list --storage postgresql://127.0.0.1:1/none > "$log" 2>&1 || fail_with_log "$log" "there is a database"
  grep -q -i 'connect' "$log" || fail_with_log "$log" "the module for PostgreSQL does not work"
  echo "$distribution: the module for PostgreSQL is loaded"
}

# What they depend on is in the distribution; the compilers and libraries are not installed for that.
development_packages() {
  local debs
  mapfile -t debs < <(cd "$root" && printf '/%s\n' packages/*.deb)
  inside apt-get -q --simulate install "${debs[@]}" > "$log" 2>&1 || fail_with_log "$log" "the other packages cannot be installed"
}

purge() {
  local files file left
  mapfile -t files < <(inside dpkg -L culmen)
  inside apt-get -q -y purge culmen > "$log" 2>&1 || fail_with_log "$log" "apt-get purge failed"
  for file in "${files[@]}"; do
    [ ! -e "$root$file" ] || [ -d "$root$file" ] || fail "$file is left"
  done
  left="$(cd "$root" && find . -xdev -path ./packages -prune -o -path './var/lib/culmen/*' -prune -o -name '*culmen*' -print)"
  [ "$left" = ./var/lib/culmen ] || fail "after a purge there is more than /var/lib/culmen:
$left"
  [ -s "$root/var/lib/culmen/certificates/first.test/live/key.pem" ] || fail "the purge took the certificate's key"
  echo "$distribution: purge left /var/lib/culmen and nothing else"
}

inside() { run_inside "$root" "$@" 9>&-; }

in_seconds() { printf '%d.%d' $(($1 / 1000000000)) $(($1 / 100000000 % 10)); }

fail() {
  echo "test-packages.sh: ${distribution:+$distribution: }$*" >&2
  exit 1
}

if [ "${1:-}" = --in-namespace ]; then in_namespace "$2"; else main "$@"; fi
