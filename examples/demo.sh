#!/usr/bin/env bash
# demo.sh PROGRAM: a certificate over real HTTPS, from the test CA that is part of PROGRAM (a built `culmen`), and what the
# openssl program thinks of it. Everything happens on 127.0.0.1 and in a temporary folder; nothing is left behind.
set -euo pipefail

culmen="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
name=demo.culmen.test
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

run() {
  echo
  echo "\$$(printf ' %q' "$(basename "$1")" "${@:2}")"
  timeout 60 "$@"
}

cd "$work"
run "$culmen" demo -d "$name" --keep .
run openssl verify -CAfile root.pem -untrusted chain.pem -verify_hostname "$name" chain.pem
if [ "$(openssl x509 -in chain.pem -noout -pubkey)" != "$(openssl pkey -in key.pem -pubout)" ]; then
  echo "demo.sh: the key does not belong to the certificate" >&2
  exit 1
fi
echo "The private key belongs to it; its file has mode $(stat -c %a key.pem)."
