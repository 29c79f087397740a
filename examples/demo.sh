#!/usr/bin/env bash
# demo.sh PROGRAM: a certificate over real HTTPS, from the test CA that is part of PROGRAM (a built `culmen`).
# Everything happens on 127.0.0.1 and in a temporary folder; nothing is left behind.
set -euo pipefail

culmen="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
name=demo.culmen.test
work="$(mktemp -d)"
ca_pid=""

main() {
  trap stop_all EXIT
  cd "$work"

  step "A CA of our own, on this machine"
  local http_port
  http_port="$(free_port)"
  start_ca "$http_port"

  step "A certificate for $name, proven over http-01"
  local issue=("$culmen" issue -d "$name" --server "$directory" --server-ca root.pem --agree-tos
    --http-address 127.0.0.1 --http-port "$http_port" --dir state --out chain.pem --cert-key key.pem)
  run "${issue[@]}"

  step "What came"
  show_chain chain.pem

  step "What OpenSSL thinks of it"
  run openssl verify -CAfile root.pem -untrusted chain.pem -verify_hostname "$name" chain.pem
  if [ "$(openssl x509 -in chain.pem -noout -pubkey)" != "$(openssl pkey -in key.pem -pubout)" ]; then
    fail "the key does not belong to the certificate"
  fi
  echo "The private key belongs to it; its file has mode $(stat -c %a key.pem)."

  step "The same once more: nothing is due, so nothing is done"
  cp chain.pem before.pem
  run "${issue[@]}"
  cmp -s chain.pem before.pem || fail "the second run replaced a certificate that was not due"

  printf '\nDone. For a real one: culmen issue -d YOUR.NAME --agree-tos, first with --server letsencrypt-staging.\n'
}

# Starts the test CA, and waits for the first line it prints: the URL of its directory.
start_ca() {
  : > ca.out
  show "$culmen" test-ca --port 0 --root-file root.pem --http-port "$1" --resolve '*=127.0.0.1'
  "$culmen" test-ca --port 0 --root-file root.pem --http-port "$1" --resolve '*=127.0.0.1' > ca.out 2> ca.err &
  ca_pid=$!
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    directory="$(head -n 1 ca.out | grep -o 'https://[^ ]*' || true)"
    if [ -n "$directory" ] && [ -s root.pem ]; then
      echo "$directory"
      return
    fi
    kill -0 "$ca_pid" 2> /dev/null || break
    sleep 0.1
  done
  cat ca.out ca.err >&2
  fail "the test CA did not start"
}

show_chain() {
  awk '/BEGIN CERTIFICATE/ {n++} {print > ("cert" n ".pem")}' "$1"
  local certificate
  for certificate in cert[0-9]*.pem; do
    openssl x509 -in "$certificate" -noout -subject -issuer -dates -ext subjectAltName 2> /dev/null | sed 's/^/  /'
    echo
  done
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
      echo "$port"
      return
    fi
  done
}

step() { printf '\n\033[1m== %s\033[0m\n' "$1" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi; }

show() {
  local words
  words="$(printf ' %q' "$(basename "$1")" "${@:2}")"
  echo "\$${words}"
}

run() {
  show "$@"
  timeout 60 "$@"
}

fail() {
  echo "demo.sh: $*" >&2
  exit 1
}

stop_all() {
  if [ -n "$ca_pid" ]; then
    kill "$ca_pid" 2> /dev/null || true
    wait "$ca_pid" 2> /dev/null || true
  fi
  rm -rf "$work"
}

main
